"""Operations that move, join or reduce tensors, in the file: against the integer layers, and against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from keras import layers, ops

import tfmp.keras2
from tests.operators.one_operator import RESULT, SIGNED, UNSIGNED, check_operator, lowered, lowered_model
from tfmp.bindings.framework import framework_of
from tfmp.bindings.integer_model import integer_model
from tfmp.graph.integer_graph import FIXED_GRIDS
from tfmp.operators.fold_error import FoldError
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

ONE, TWO, THREE = ([(4, 6, 8)] * count for count in (1, 2, 3))
MOVEMENTS = {  # the operation, the same in NumPy, shapes
    "slices": (lambda x: x[:, 1:3, ..., 2:-1], lambda x: x[:, 1:3, :, 2:-1], ONE),
    "steps": (lambda x: x[:, ::2, ::-1], lambda x: x[:, ::2, ::-1], ONE),
    "integers and new axes": (lambda x: x[:, None, 1, :, -1], lambda x: x[:, None, 1, :, -1], ONE),
    "ellipsis": (lambda x: x[..., 3], lambda x: x[..., 3], ONE),
    "split": (lambda x: ops.split(x, 4, axis=-1), lambda x: np.split(x, 4, axis=-1), ONE),
    "split at": (lambda x: ops.split(x, [1, 4], axis=2), lambda x: np.split(x, [1, 4], axis=2), ONE),
    "unstack": (lambda x: ops.unstack(x, axis=1), lambda x: [x[:, i] for i in range(4)], ONE),
    "take": (lambda x: ops.take(x, [5, 0, 0, -1], axis=2), lambda x: np.take(x, [5, 0, 0, -1], 2), ONE),
    "take a matrix": (lambda x: ops.take(x, [[1, 0], [2, 2]], axis=1), lambda x: np.take(x, [[1, 0], [2, 2]], 1), ONE),
    "flip": (lambda x: ops.flip(x, axis=(1, -1)), lambda x: x[:, ::-1, :, ::-1], ONE),
    "roll": (lambda x: ops.roll(x, 2, axis=2), lambda x: np.roll(x, 2, 2), ONE),
    "repeat": (lambda x: ops.repeat(x, 3, axis=1), lambda x: np.repeat(x, 3, 1), ONE),
    "tile": (lambda x: ops.tile(x, (1, 2, 1, 3)), lambda x: np.tile(x, (1, 2, 1, 3)), ONE),
    "reflect": (
        lambda x: ops.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0)), mode="reflect"),
        lambda x: np.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0)), mode="reflect"),
        ONE,
    ),
    "symmetric": (
        lambda x: ops.pad(x, ((0, 0), (0, 0), (1, 2), (1, 0)), mode="symmetric"),
        lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2), (1, 0)), mode="symmetric"),
        ONE,
    ),
    "pad images": (
        lambda x: ops.image.pad_images(x, 1, 2, 0, 3),
        lambda x: np.pad(x, ((0, 0), (1, 0), (2, 3), (0, 0))),
        ONE,
    ),
    "crop images": (lambda x: ops.image.crop_images(x, 1, 2, 1, 0), lambda x: x[:, 1:-1, 2:], ONE),
    "nearest": (
        layers.Resizing(3, 15, interpolation="nearest"),
        lambda x: x[:, [0, 2, 3]][:, :, np.floor((np.arange(15) + 0.5) * 6 / 15).astype(int)],
        ONE,
    ),
    "moveaxis": (lambda x: ops.moveaxis(x, -1, 1), lambda x: np.moveaxis(x, -1, 1), ONE),
    "swapaxes": (lambda x: ops.swapaxes(x, 1, -1), lambda x: np.swapaxes(x, 1, -1), ONE),
    "stack": (lambda x, y: ops.stack([x, y], axis=2), lambda x, y: np.stack([x, y], 2), TWO),
    "stack last": (lambda x, y: ops.stack([x, y], axis=-1), lambda x, y: np.stack([x, y], -1), TWO),
    "depth to space": (lambda x: ops.depth_to_space(x, 2), lambda x: tf.nn.depth_to_space(x, 2).numpy(), ONE),
    "space to depth": (lambda x: ops.space_to_depth(x, 2), lambda x: tf.nn.space_to_depth(x, 2).numpy(), ONE),
    "maximum": (lambda *tensors: layers.Maximum()(tensors), lambda x, y, z: np.maximum(np.maximum(x, y), z), THREE),
    "minimum": (ops.minimum, np.minimum, [(4, 6, 8), (1, 1, 8)]),
    "reduce max": (lambda x: ops.max(x, (1, 2)), lambda x: x.max((1, 2)), ONE),
    "reduce min": (lambda x: ops.amin(x, -1, keepdims=True), lambda x: x.min(-1, keepdims=True), ONE),
    "nothing": (ops.stop_gradient, lambda x: x, ONE),
}


@pytest.mark.parametrize("name", MOVEMENTS)
def test_codes_are_moved_exactly(name):
    function, meaning, shapes = MOVEMENTS[name]
    check_operator(function, meaning, shapes)


COMPUTATIONS = {  # the operation, the same in NumPy, shapes, steps
    "average": (lambda *tensors: layers.Average()(tensors), lambda x, y: (x + y) / 2, TWO, 0.51),
    "average of numbers of several ranges": (
        lambda *tensors: layers.Average()(tensors),
        lambda x, y, z: (x + y + z) / 3,
        THREE,
        1.2,
    ),
    "sum": (lambda x: ops.sum(x, axis=(1, 3)), lambda x: x.sum((1, 3)), ONE, 0.5),
    "sum of channels": (lambda x: ops.sum(x, axis=-1, keepdims=True), lambda x: x.sum(-1, keepdims=True), ONE, 0.5),
    "mean of channels": (lambda x: ops.mean(x, axis=-1), lambda x: x.mean(-1), ONE, 0.5),
    "mean of rows": (lambda x: ops.average(x, axis=1), lambda x: x.mean(1), ONE, 0.5),
    "bilinear": (
        lambda x: ops.image.resize(x, (7, 3)),
        lambda x: tf.image.resize(x, (7, 3)).numpy(),
        ONE,
        0.5 + 0.03 / 0.035 / 2 + 0.1,  # rounded on the grid of the input first
    ),
}


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_codes_are_computed_as_in_the_integer_layers(name):
    function, meaning, shapes, steps = COMPUTATIONS[name]
    grids = [SIGNED, UNSIGNED, RESULT][: len(shapes)]
    check_operator(function, meaning, shapes, grids, steps=steps)


@pytest.mark.parametrize("sizes", [(3,), (2, 3, 2, 3), (2, 1, 3, 2, 3)], ids=len)
def test_codes_of_any_rank_are_scaled(sizes):
    check_operator(layers.ReLU(), lambda x: np.maximum(x, 0), [sizes])


def test_more_axes_than_the_runtimes_compute_with_are_refused():
    graph, _ = lowered(lambda *tensors: layers.Multiply()(tensors), [(1, 2, 1, 2, 1, 2)] * 2, [SIGNED] * 2)
    with pytest.raises(ValueError, match="at most 6 axes, the batch included. Received: 7 at layer `.*Reshape"):
        write_tflite(graph)


def test_a_normalization_of_another_axis():
    normalization = layers.BatchNormalization(axis=2)
    normalization.build((None, 4, 6, 8))
    rng = np.random.default_rng(0)
    normalization.set_weights([rng.uniform(0.5, 1.5, 6) for _ in range(4)])
    gamma, beta, mean, variance = (np.reshape(weight, (6, 1)) for weight in normalization.get_weights())
    check_operator(
        normalization, lambda x: gamma * (x - mean) / np.sqrt(variance + normalization.epsilon) + beta, ONE, steps=0.6
    )


def test_a_softmax_of_another_axis():
    graph, _ = lowered(layers.Softmax(axis=2), ONE, [SIGNED], result=FIXED_GRIDS["softmax"])
    codes = np.random.default_rng(0).integers(-128, 128, (2, 4, 6, 8))
    x = (codes * np.float32(SIGNED.scale)).astype(np.float32)
    (found,) = Interpreter(write_tflite(graph, batch_size=2)).run(x).values()
    powers = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(found, powers / powers.sum(2, keepdims=True), rtol=0, atol=1.5 / 256)


def test_functions_of_tensorflow():
    functions = [
        (lambda x: x[:, 1:3, ::2], lambda x: x[:, 1:3, ::2]),
        (lambda x: tf.transpose(x, (0, 2, 1, 3)), lambda x: x.transpose(0, 2, 1, 3)),
        (lambda x: tf.reshape(x, (-1, 24, 8)), lambda x: x.reshape(-1, 24, 8)),
        (lambda x: tf.expand_dims(x, 1), lambda x: x[:, None]),
        (lambda x: tf.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0))), lambda x: np.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0)))),
        (lambda x: tf.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), "REFLECT"), lambda x: x[:, [1, 0, 1, 2, 3, 2]]),
        (lambda x: tf.split(x, 2, axis=3), lambda x: np.split(x, 2, 3)),
        (lambda x: tf.split(x, [2, 4], axis=2), lambda x: np.split(x, [2], 2)),
        (lambda x: tf.gather(x, [1, 3], axis=1), lambda x: x[:, [1, 3]]),
        (lambda x: tf.stack([x, x], axis=1), lambda x: np.stack([x, x], 1)),
        (lambda x: tf.nn.space_to_depth(x, 2), lambda x: tf.nn.space_to_depth(x, 2).numpy()),
        (lambda x: tf.image.resize(x, (4, 6), "nearest"), lambda x: x),
        (lambda x: tf.reduce_max(x, (1, 2)), lambda x: x.max((1, 2))),
        (lambda x: tf.reduce_mean(x, -1, keepdims=True), lambda x: x.mean(-1, keepdims=True)),
    ]
    options = {"package": tf_keras, "quantize": tfmp.keras2.Quantize}
    for function, meaning in functions:
        check_operator(function, meaning, ONE, **options)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_rows_of_an_embedding_have_the_codes_of_their_numbers(dtype):
    words, tokens = layers.Embedding(7, 5), keras.Input((4,), dtype=dtype, name="tokens")
    model = keras.Model(tokens, tfmp.layers.Quantize(8, signed=True, name="after_0")(words(tokens)))
    graph = lowered_model(model, {"after_0": SIGNED})
    positions = np.array([[0, 6, 3, 3], [1, 2, 4, 5]], dtype)
    (found,) = Interpreter(write_tflite(graph, batch_size=2)).run(positions).values()
    np.testing.assert_array_equal(found, integer_model(graph, framework_of(model))(positions))
    numbers = np.asarray(words.embeddings)[positions.astype(int)]
    np.testing.assert_array_equal(found, (np.rint(numbers / SIGNED.scale) * SIGNED.scale).astype(np.float32))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: ops.take(x, [0], axis=-4), "selects samples"),
        (lambda x: ops.sum(x, axis=-4), "reduces over samples"),
        (lambda x: ops.stack([x, x], axis=-5), "stacks samples"),
        (lambda x: ops.swapaxes(x, -4, 1), "moves the axis of the batch"),
    ],
)
def test_operations_that_mix_samples(function, message):
    with pytest.raises(FoldError, match=message):
        lowered(function, ONE, [SIGNED])
