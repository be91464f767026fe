"""Operations without sliding windows, in integers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.integer.layer_check import check, few, layer_of
from tests.tflite import integer_reference
from tests.tflite.operation_graphs import GRAPHS
from tests.tflite.random_graphs import (
    clips,
    grids,
    numbers,
    one_operation,
    random_codes,
)
from tfmp.graph import Grid

pytestmark = pytest.mark.compiled


@pytest.mark.parametrize("kind", GRAPHS)
@few
@given(st.data(), st.integers(0, 999))
def test_operation(kind, data, seed):
    check(data.draw(GRAPHS[kind]), seed)


@pytest.mark.parametrize("ratio", [1.0, 0.5, 2.0, np.nextafter(np.float32(1), np.float32(0)), 0.3, 255.9])
def test_addition_of_all_pairs_of_codes(ratio):
    first, second, grid = Grid(0.5 * float(ratio), -128, 127), Grid(0.25, -128, 127), Grid(0.5, -128, 127)
    graph = one_operation("add", [(256,)] * 2, [first, second], (256,), grid)
    across = np.broadcast_to(np.arange(-128, 128), (256, 256))
    expected = integer_reference.compute(graph, graph.operations[-2], [across, across.T])
    found = layer_of(graph, graph.operations[-2])([across.astype(np.float32), across.T.astype(np.float32)])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [(2, 2), (3, 1), (4, 5)])
def test_resizing_is_that_of_the_layer(size):
    grid, result = Grid(0.1, -128, 127), (5 * size[0], 4 * size[1], 3)
    graph = one_operation("resize", [(5, 4, 3)], [grid], result, grid)
    codes = random_codes(np.random.default_rng(0), grid, (2, 5, 4, 3)).astype(np.float32)
    expected = keras.layers.UpSampling2D(size, interpolation="bilinear")(codes)
    found = layer_of(graph, graph.operations[-2])(codes)
    # Half a code by rounding, and 255 codes times the error of two weights.
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.5 + 2 * 255 * 2**-12)


@few
@given(grids(), st.sampled_from([(24,), (6, 4), (2, 2, 6), (1, 24, 1)]), st.data(), st.integers(0, 99))
def test_reshape(grid, shape, data, seed):
    check(one_operation("reshape", [(4, 2, 3)], [grid], shape, grid, attributes=data.draw(clips(grid))), seed)


@few
@given(st.sampled_from([(10,), (2,), (3, 7)]), grids(), st.integers(0, 999))
def test_softmax(shape, grid, seed):
    check(one_operation("softmax", [shape], [grid], shape, Grid(1 / 256, 0, 255)), seed, tolerance=1)


@few
@given(grids(), st.data(), st.integers(0, 999))
def test_quantization_of_any_number(grid, data, seed):
    rng = np.random.default_rng(seed)
    graph = one_operation("reshape", [(200,)], [grid], (200,), grid)
    inputs = rng.normal(0, grid.scale * (grid.high - grid.low), (3, 200)).astype(np.float32)
    halves = (random_codes(rng, grid, (3, 200)) + 0.5).astype(np.float32) * np.float32(grid.scale)
    inputs = np.where(rng.random(inputs.shape) < 0.3, halves, inputs)
    operation = graph.operations[0]
    layer = layer_of(graph, operation)
    expected = integer_reference.compute(graph, operation, [inputs])
    np.testing.assert_array_equal(layer(inputs), expected)
    np.testing.assert_array_equal(tf.function(layer)(inputs), expected)


@few
@given(grids(), st.integers(0, 999))
def test_dequantization(grid, seed):
    rng = np.random.default_rng(seed)
    graph = one_operation("reshape", [(20,)], [grid], (20,), grid)
    values = numbers(rng, grid, (3, 20))
    codes = layer_of(graph, graph.operations[0])(values)
    np.testing.assert_array_equal(layer_of(graph, graph.operations[-1])(codes), values)
