import keras
import numpy as np
import pytest

import tfmp
from tests.tflite.random_graphs import residual_network
from tfmp.bindings.framework import framework_of
from tfmp.graph.open_values import OpenArray
from tfmp.lowering.byte_counter import ByteCounter, content_bytes
from tfmp.lowering.write_operations import write_operations
from tfmp.operators.writing.sink import Options, Quantization
from tfmp.tflite.writer.write_tflite import write_tflite
from tfmp.transform.fold import fold_graph


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_counted_is_the_file_but_for_what_every_file_has(seed, batch_size):
    graph, counter = residual_network(seed), ByteCounter()
    counter.finish(graph.name, *write_operations(graph, counter, batch_size=batch_size))
    assert 200 < len(write_tflite(graph, batch_size=batch_size)) - counter.total_bytes <= 340


@pytest.mark.default_cases("LSTM")
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_operators_in_floating_point_count_as_in_the_file(kind):
    keras.utils.set_random_seed(0)
    image = keras.Input((4, 3))
    x = keras.layers.Bidirectional(getattr(keras.layers, kind)(8, bias_initializer="random_normal"))(image)
    model = keras.Model(image, keras.layers.Dense(2)(x))
    x = np.random.default_rng(0).normal(size=(8, 4, 3)).astype(np.float32)
    fixed = tfmp.quantize(model, calibration=x, post_training="ranges")
    graph, counter = fold_graph(framework_of(fixed).read(fixed)), ByteCounter()
    counter.finish(graph.name, *write_operations(graph, counter))
    assert 150 < len(write_tflite(graph)) - counter.total_bytes <= 340


def test_equal_parts_count_once():
    counter, grid = ByteCounter(), Quantization((0.5,), -128)
    counter.tensor("a", (1, 4), dtype="int8", quantization=grid)
    once = counter.shared_bytes
    counter.tensor("a", (1, 4), dtype="int8", quantization=grid)
    assert counter.shared_bytes == once and counter.own_bytes == 2 * 24
    counter.tensor("b", (1, 5), dtype="int8", quantization=Quantization((0.25,), -128))
    assert counter.shared_bytes == 2 * once - 16  # the zero point
    counter.operator("ADD", [0, 1], [2], version=1, options=Options("AddOptions"))
    once = counter.shared_bytes
    counter.operator("ADD", [0, 1], [2], version=1, options=Options("AddOptions"))
    assert counter.shared_bytes == once
    assert counter.total_bytes == counter.own_bytes + counter.shared_bytes


@pytest.mark.parametrize(
    ("first", "same", "other"),
    [
        (np.zeros((2, 3), np.int8), np.zeros((2, 3), np.int8), np.ones((2, 3), np.int8)),
        *(
            (OpenArray((2, 3), np.int8, "a"), OpenArray((2, 3), np.int8, "a"), OpenArray(shape, np.int8, label))
            for shape, label in (((2, 3), "b"), ((6, 1), "a"))
        ),
    ],
)
def test_equal_constants_are_one_tensor(first, same, other):
    counter = ByteCounter()
    index = counter.constant("kernel", first)
    once = counter.total_bytes
    assert counter.constant("same", same) == index and counter.total_bytes == once
    assert counter.constant("other", other) != index and counter.total_bytes > once


def test_open_contents_of_one_label_differ_by_their_sizes():
    counter = ByteCounter()
    counter.constant("first", OpenArray((1000,), np.int8, 1))
    before = counter.total_bytes
    counter.constant("second", OpenArray((2000,), np.int8, 1))
    assert counter.total_bytes - before > 2000


@pytest.mark.parametrize(("bits", "expected"), [(None, 1000), (4, 500), (2, 250)])
def test_packed_codes(bits, expected):
    counter, empty = ByteCounter(), ByteCounter()
    counter.constant("kernel", OpenArray((10, 100), np.int8, "codes"), packed_bits=bits)
    empty.constant("kernel", OpenArray((10, 100), np.int8, "codes"), packed_bits=1)
    assert counter.total_bytes - empty.total_bytes == content_bytes(expected) - content_bytes(125)


def test_contents_start_at_multiples_of_16():
    assert [content_bytes(count) for count in (1, 4, 5, 20, 21)] == [4 + 16, 4 + 16, 4 + 32, 4 + 32, 4 + 48]
    assert np.all(np.diff([content_bytes(count) for count in range(100)]) >= 0)
