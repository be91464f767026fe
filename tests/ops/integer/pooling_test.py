"""Means and maxima in integers."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.ops.integer.layer_check import check, few, layer_of
from tests.tflite import integer_reference
from tests.tflite.random_graphs import (
    clips,
    grids,
    one_operation,
    sliding,
    window_size,
)
from tfmp.graph import Grid

pytestmark = pytest.mark.compiled


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


@pytest.mark.parametrize("pool_size", [(5, 5), (13, 2), (6, 6)])
def test_averages_over_large_windows(pool_size):
    attributes = {"pool_size": pool_size, "strides": (2, 1), "padding": "valid"}
    output = ((15 - pool_size[0]) // 2 + 1, 7 - pool_size[1])
    grid = Grid(0.1, -100, 155)
    graph = one_operation("average_pool", [(15, 6, 4)], [grid], (*output, 4), grid, attributes=attributes)
    for seed in range(2):
        check(graph, seed, batch=2)


@pytest.mark.parametrize("sizes", [([7, 7], (2, 3)), ([6, 6], (2, 3)), ([9, 5], (3, 3))])
def test_padded_averages_at_ties(sizes):
    (height, width), pool = sizes
    attributes = {"pool_size": pool, "strides": (2, 2), "padding": "same"}
    output = tuple(window_size(size, each, 2, 1, "same") for size, each in zip((height, width), pool, strict=True))
    grid = Grid(0.1, -100, 155)
    graph = one_operation("average_pool", [(height, width, 6)], [grid], (*output, 6), grid, attributes=attributes)
    for seed in range(3):
        check(graph, seed, batch=16)
