"""Every operation on codes computes what the NumPy model of the runtime does, run at once and as a compiled graph."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.export import integer_reference
from tests.export.operation_graphs import GRAPHS
from tests.export.random_graphs import (
    clips,
    grids,
    numbers,
    one_operation,
    random_codes,
    spread_scale,
    weights,
    window_size,
)
from tfmp.bindings.keras3.integer_graph import operation_arguments
from tfmp.bindings.keras3.layers import IntegerOperation
from tfmp.ops import integer
from tfmp.types import Grid

few = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


def layer_of(graph, operation):
    layer = IntegerOperation(**operation_arguments(graph, operation))
    layer.build()
    for name, value in operation.constants.items():
        getattr(layer, f"{name}_constant").assign(value)
    return layer


def check(graph, seed, *, batch=2, tolerance=0):
    """Compares the middle operation of a graph with the reference, on random codes."""
    rng = np.random.default_rng(seed)
    operation = graph.operations[-2]
    tensors = [graph.tensors[name] for name in operation.inputs]
    codes = [random_codes(rng, tensor.grid, (batch, *tensor.shape[1:])) for tensor in tensors]
    expected = integer_reference.compute(graph, operation, codes)
    layer = layer_of(graph, operation)
    inputs = [each.astype(np.float32) for each in codes]
    inputs = inputs if len(inputs) > 1 else inputs[0]
    found = layer(inputs)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    # Sizes that are known let the graph optimizer fold constants, a division by one becomes a product for instance.
    np.testing.assert_array_equal(tf.function(layer)(inputs), found)


@st.composite
def sliding(draw, *, dilates=True):
    """Height, width, window and attributes of a sliding window; strides and dilation may meet."""
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3))) if dilates and draw(st.booleans()) else (1, 1)
    padding = draw(st.sampled_from(["same", "valid"]))
    least = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
    sizes = [draw(st.integers(size if padding == "valid" else 1, size + 5)) for size in least]
    attributes = {"strides": strides, "dilation": dilation, "padding": padding}
    output = [window_size(*each, padding) for each in zip(sizes, window, strides, dilation, strict=True)]
    return sizes, window, attributes, output


SAME_WITH_UNEQUAL_STRIDES = (
    [6, 5],
    (3, 2),
    {"strides": (2, 1), "dilation": (1, 1), "padding": "same"},
    [3, 5],
)
DILATED_WITH_STRIDES = (
    [8, 7],
    (3, 2),
    {"strides": (2, 3), "dilation": (2, 3), "padding": "same"},
    [4, 3],
)


def convolution(kind, window, inputs, filters, taps_shape, input_grid, grid, clip, bits, ties, seed, **attributes):
    sizes, _, window_attributes, output = window
    constants = weights(np.random.default_rng(seed), taps_shape, filters, bits=bits, ties=ties)
    taps = np.prod(taps_shape[:3]) if kind == "conv2d" else np.prod(taps_shape[:2])
    grid = Grid(spread_scale(input_grid, constants, taps, grid, ties=ties), grid.low, grid.high)
    return one_operation(
        kind,
        [(*sizes, inputs)],
        [input_grid],
        (*output, filters),
        grid,
        attributes={**window_attributes, **clip, **attributes},
        constants=constants,
    )


@few
@given(
    sliding(),
    st.sampled_from([(1, 3, 4), (1, 8, 1), (2, 4, 6), (3, 3, 9)]),
    grids(),
    grids(scale=1.0),
    st.data(),
    st.integers(1, 8),
    st.booleans(),
    st.integers(0, 999),
)
def test_convolution(window, channels, input_grid, grid, data, bits, ties, seed):
    groups, inputs, filters = channels
    shape = (*window[1], inputs // groups, filters)
    clip = data.draw(clips(grid))
    check(
        convolution("conv2d", window, inputs, filters, shape, input_grid, grid, clip, bits, ties, seed, groups=groups),
        seed,
    )


@few
@given(
    sliding(),
    st.sampled_from([(1, 1), (5, 1), (3, 2)]),
    grids(),
    grids(scale=1.0),
    st.data(),
    st.integers(1, 8),
    st.booleans(),
    st.integers(0, 999),
)
def test_depthwise_convolution(window, channels, input_grid, grid, data, bits, ties, seed):
    inputs, multiplier = channels
    shape = (*window[1], inputs, multiplier)
    clip = data.draw(clips(grid))
    check(
        convolution(
            "depthwise_conv2d", window, inputs, inputs * multiplier, shape, input_grid, grid, clip, bits, ties, seed
        ),
        seed,
    )


@pytest.mark.parametrize("window", [SAME_WITH_UNEQUAL_STRIDES, DILATED_WITH_STRIDES])
@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d"])
def test_strides_that_no_kernel_of_the_framework_takes(kind, window):
    shape = (*window[1], 4, 4) if kind == "conv2d" else (*window[1], 4, 1)
    graph = convolution(kind, window, 4, 4, shape, Grid(0.1, -8, 7), Grid(1.0, -128, 127), {}, 8, False, 0)
    check(graph, seed=0)


@few
@given(
    st.sampled_from([(7,), (1,), (3, 7), (2, 3, 5)]),
    st.sampled_from([1, 4, 10]),
    grids(),
    grids(scale=1.0),
    st.data(),
    st.booleans(),
    st.integers(0, 999),
)
def test_dense(shape, units, input_grid, grid, data, ties, seed):
    constants = weights(np.random.default_rng(seed), (shape[-1], units), units, ties=ties)
    grid = Grid(spread_scale(input_grid, constants, shape[-1], grid, ties=ties), grid.low, grid.high)
    attributes, result = data.draw(clips(grid)), (*shape[:-1], units)
    check(one_operation("dense", [shape], [input_grid], result, grid, attributes=attributes, constants=constants), seed)


def test_accumulators_beyond_float32_are_exact():
    # 2**24 + 1 is no float32: products must be added in more digits than codes have.
    codes, count = Grid(1.0, 0, 255), 3000
    constants = {
        "kernel": np.full((count, 2), 127, np.int8),
        "kernel_scale": np.full(2, 2.0**-20, np.float32),
        "bias": np.array([2**30 - 127 * 255 * count, 1 - 127 * 255 * count], np.int32),
    }
    graph = one_operation("dense", [(count,)], [codes], (2,), Grid(2.0**-20, -128, 127), constants=constants)
    found = layer_of(graph, graph.operations[-2])(np.full((1, count), 255, np.float32))
    np.testing.assert_array_equal(found, [[127, 1]])


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


@few
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5)),
    grids(),
    grids(scale=1.0),
    st.data(),
    st.sampled_from([1, 0.5, 1.37, 0.123]),
    st.booleans(),
    st.integers(0, 999),
)
def test_mean(shape, input_grid, grid, data, ratio, keepdims, seed):
    grid = dataclasses.replace(grid, scale=input_grid.scale * ratio)
    result = (1, 1, shape[2]) if keepdims else shape[2:]
    attributes = {**data.draw(clips(grid)), "keepdims": keepdims}
    check(one_operation("mean", [shape], [input_grid], result, grid, attributes=attributes), seed, batch=5)


def test_mean_over_a_large_image_sums_exactly():
    grid = Grid(1.0, 0, 255)
    graph = one_operation("mean", [(300, 301, 1)], [grid], (1,), Grid(2.0**-7, 0, 255), attributes={"keepdims": False})
    codes = np.zeros((2, 300, 301, 1), np.int64)
    codes[0, ::2], codes[1, 0, :301] = 1, 255
    expected = integer_reference.compute(graph, graph.operations[-2], [codes])
    found = layer_of(graph, graph.operations[-2])(codes.astype(np.float32))
    np.testing.assert_array_equal(found, expected)


@few
@given(
    sliding(dilates=False),
    st.sampled_from([1, 3]),
    grids(),
    st.sampled_from(["average_pool", "max_pool"]),
    st.data(),
    st.integers(0, 999),
)
def test_pooling(window, channels, grid, kind, data, seed):
    sizes, pool_size, attributes, output = window
    attributes = {**data.draw(clips(grid)), "pool_size": pool_size, **attributes}
    check(
        one_operation(kind, [(*sizes, channels)], [grid], (*output, channels), grid, attributes=attributes),
        seed,
        batch=4,
    )


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


@pytest.mark.parametrize("divisor", [0.0173, 0.3, 0.7])
def test_factors_are_what_division_gives(divisor):
    # Compilers gather constant factors and divisors into one, which rounds to other products.
    scales = np.random.default_rng(0).uniform(0.01, 0.02, 400).astype(np.float32)
    expected = scales * np.float32(0.37) / np.float32(divisor)
    assert (expected != scales * (np.float32(0.37) / np.float32(divisor))).sum() > 50
    variable = tf.Variable(scales.astype(np.float64))

    def factors():
        kernel_scale = tf.convert_to_tensor(variable)
        return integer.multiplier(kernel_scale, input_grid=Grid(0.37, 0, 1), grid=Grid(divisor, 0, 1))

    for compiled in (factors, tf.function(factors), tf.function(factors, jit_compile=True)):
        np.testing.assert_array_equal(compiled(), expected)


def test_means_are_rounded_after_each_step():
    # A compiler that rounds product and sum at once gives other codes for some sums; these scales make such ties.
    count, input_grid, grid = 32, Grid(0.85321456, -165, 90), Grid(0.055338215, -95, 160)
    factor = np.float32(input_grid.scale) / np.float32(grid.scale) / np.float32(count)
    offset = np.float32(grid.zero_point) - np.float32(count * input_grid.zero_point) * factor
    stored = np.arange(-128 * count, 127 * count)
    stored = stored[np.abs(stored * factor + offset) < 128]
    at_once = np.rint((stored * np.float64(factor) + offset).astype(np.float32))
    assert (at_once != np.rint(stored.astype(np.float32) * factor + offset)).any()
    sums = stored - count * input_grid.zero_point
    codes = np.repeat(sums[None, None, None] // count, count, axis=1)
    codes += np.arange(count)[None, :, None, None] < sums % count
    shape = codes.shape[1:]
    graph = one_operation("mean", [shape], [input_grid], shape[2:], grid, attributes={"keepdims": False})
    expected = integer_reference.compute(graph, graph.operations[-2], [codes])
    layer = layer_of(graph, graph.operations[-2])
    for compiled in (layer, tf.function(layer)):
        np.testing.assert_array_equal(compiled(codes.astype(np.float32)), expected)
    assert not layer.supports_jit  # Keras does not compile a model with such a layer


@pytest.mark.parametrize("sizes", [([7, 7], (2, 3)), ([6, 6], (2, 3)), ([9, 5], (3, 3))])
def test_padded_averages_at_ties(sizes):
    (height, width), pool = sizes
    attributes = {"pool_size": pool, "strides": (2, 2), "padding": "same"}
    output = tuple(window_size(size, each, 2, 1, "same") for size, each in zip((height, width), pool, strict=True))
    grid = Grid(0.1, -100, 155)
    graph = one_operation("average_pool", [(height, width, 6)], [grid], (*output, 6), grid, attributes=attributes)
    for seed in range(3):
        check(graph, seed, batch=16)


def test_layer_survives_its_configuration():
    window = SAME_WITH_UNEQUAL_STRIDES
    graph = convolution("conv2d", window, 2, 4, (3, 2, 2, 4), Grid(0.1, 0, 15), Grid(1, 0, 15), {"low": 0}, 4, False, 0)
    layer = layer_of(graph, graph.operations[-2])
    twin = IntegerOperation.from_config(layer.get_config())
    twin.build()
    twin.set_weights(layer.get_weights())
    codes = np.random.default_rng(0).integers(0, 16, (2, 6, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(twin(codes), layer(codes))
    assert not layer.trainable_weights


def test_layer_computes_in_float32_under_any_policy():
    graph = one_operation("dense", [(3,)], [Grid(0.1, 0, 255)], (2,), Grid(0.11, -128, 127), constants=DENSE)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        check(graph, seed=0)
    finally:
        keras.config.set_dtype_policy(before)


DENSE = weights(np.random.default_rng(0), (3, 2), 2)


def test_unknown_operation():
    graph = one_operation("dense", [(3,)], [Grid(0.1, 0, 255)], (2,), Grid(0.11, -128, 127), constants=DENSE)
    layer = IntegerOperation(**{**operation_arguments(graph, graph.operations[1]), "kind": "gelu", "name": "strange"})
    with pytest.raises(ValueError, match="`strange`.*'gelu'"):
        layer(np.zeros((1, 3), np.float32))
