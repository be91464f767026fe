"""Convolutions and dense layers in integers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.integer.layer_check import check, few, layer_of
from tests.tflite.random_graphs import (
    clips,
    grids,
    one_operation,
    sliding,
    spread_scale,
    weights,
)
from tfmp.graph import Grid
from tfmp.ops import integer

pytestmark = pytest.mark.compiled

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
    sliding(dilated_strides=True),
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
    sliding(dilated_strides=True),
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


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("window", "strides"), [((3, 3), (2, 2)), ((2, 4), (3, 1)), ((1, 5), (2, 2))])
def test_transposed_convolution_is_that_of_the_layer(window, strides, padding):
    layer = keras.layers.Conv2DTranspose(4, window, strides, padding=padding)
    codes = np.random.default_rng(0).integers(-8, 8, (2, 5, 4, 3)).astype(np.float32)
    layer.build(codes.shape)
    constants = weights(np.random.default_rng(1), (*window, 4, 3), 4, bits=3, ties=True)
    constants["kernel_scale"][:] = 2.0**-4
    layer.set_weights([constants["kernel"].astype(np.float32), constants["bias"].astype(np.float32)])
    expected = np.asarray(layer(codes))
    grids, attributes = (Grid(1, -8, 7), Grid(2.0**-4, -128, 127)), {"strides": strides, "padding": padding}
    shapes = [(5, 4, 3)], expected.shape[1:]
    graph = one_operation(
        "conv2d_transpose", shapes[0], grids[:1], shapes[1], grids[1], attributes=attributes, constants=constants
    )
    found = layer_of(graph, graph.operations[-2])(codes)
    np.testing.assert_array_equal(found, np.clip(expected, -128, 127))


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
