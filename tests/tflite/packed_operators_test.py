"""Kernels in 4 and 2 bits: the codes of the contract, on XNNPACK, whatever the window; and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tflite.operators_test import check, few, sliding
from tests.tflite.random_graphs import BATCH, clips, grids, one_operation, spread_scale, weights
from tfmp.graph.integer_graph import Grid
from tfmp.tflite.writer.packing import unpack
from tfmp.tflite.writer.write_tflite import write_tflite

PACKED_TYPES = {"INT4": 17, "INT2": 19}


def packed_constants(shape, filters, bits, *, seed, ties=False):
    """Codes from the smallest to the largest of a container."""
    rng = np.random.default_rng(seed)
    constants = weights(rng, shape, filters, bits=bits, ties=ties)
    constants["kernel"] = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape).astype(np.int8)
    return constants


@few
@given(
    sliding(),
    st.sampled_from([(1, 4), (3, 2), (4, 9), (16, 1), (7, 33)]),
    grids(),
    st.data(),
    st.sampled_from([4, 2]),
    st.booleans(),
    st.integers(0, 999),
)
def test_convolution(window, channels, input_grid, data, bits, ties, seed):
    (sizes, kernel_size, attributes, output), (inputs, filters) = window, channels
    constants = packed_constants((*kernel_size, inputs, filters), filters, bits, seed=seed, ties=ties)
    grid = data.draw(grids(scale=1.0))
    scale = spread_scale(input_grid, constants, np.prod(kernel_size) * inputs, grid, ties=ties)
    grid = Grid(scale, grid.low, grid.high)
    attributes = {**attributes, **data.draw(clips(grid)), "container_bits": bits}
    graph = one_operation(
        "conv2d",
        [(*sizes, inputs)],
        [input_grid],
        (*output, filters),
        grid,
        attributes=attributes,
        constants=constants,
    )
    check(graph, seed)


@few
@given(
    st.sampled_from([(7,), (16,), (1,), (3, 7), (2, 3, 5)]),
    st.sampled_from([1, 4, 10, 33]),
    grids(),
    st.data(),
    st.sampled_from([4, 2]),
    st.integers(0, 999),
)
def test_dense(shape, units, input_grid, data, bits, seed):
    constants = packed_constants((shape[-1], units), units, bits, seed=seed)
    grid = data.draw(grids(scale=1.0))
    grid = Grid(spread_scale(input_grid, constants, shape[-1], grid), grid.low, grid.high)
    attributes = {**data.draw(clips(grid)), "container_bits": bits}
    result = (*shape[:-1], units)
    check(one_operation("dense", [shape], [input_grid], result, grid, attributes=attributes, constants=constants), seed)


@pytest.mark.parametrize("bits", [4, 2])
def test_sums_of_many_products(bits):
    constants = packed_constants((3, 3, 512, 8), 8, bits, seed=0)
    input_grid, grid = Grid(0.1, 0, 255), Grid(1.0, -128, 127)
    constants["bias"] = -128 * constants["kernel"].astype(np.int32).sum((0, 1, 2), dtype=np.int32)
    grid = Grid(2 * spread_scale(input_grid, constants, 9 * 512, grid), -128, 127)
    attributes = {"container_bits": bits}
    graph = one_operation(
        "conv2d", [(7, 7, 512)], [input_grid], (5, 5, 8), grid, attributes=attributes, constants=constants
    )
    assert len(np.unique(check(graph, 0))) > 100


@pytest.mark.parametrize("bits", [4, 2])
def test_the_largest_biases_and_sums(bits):
    largest = 2 ** (bits - 1)
    inputs = 2**26 // 255 // largest // 2 * 2
    sign = np.array([1, -1, 1, -1])
    kernel = np.where(sign > 0, largest - 1, -largest)[None].repeat(inputs, 0).astype(np.int8)
    constants = {
        "kernel": kernel,
        "bias": (2**26 * sign).astype(np.int32),
        "kernel_scale": np.full(4, 0.01, np.float32),
    }
    grid = Grid(0.01 * 2**20, -128, 127)
    graph = one_operation(
        "dense", [(inputs,)], [Grid(1.0, 0, 255)], (4,), grid, attributes={"container_bits": bits}, constants=constants
    )
    assert len(np.unique(check(graph, 0))) > 1


def operators(attributes, kernel, sizes=(8, 8), output=(8, 8)):
    constants = packed_constants((*kernel, 4, 4), 4, 4, seed=0)
    graph = one_operation(
        "conv2d",
        [(*sizes, 4)],
        [Grid(0.1, -128, 127)],
        (*output, 4),
        Grid(1.0, -128, 127),
        attributes={**attributes, "container_bits": 4},
        constants=constants,
    )
    model = unpack(write_tflite(graph, batch_size=BATCH))
    codes = [code.builtinCode for code in model.operatorCodes]
    names = {2: "CONCATENATION", 6: "DEQUANTIZE", 9: "FULLY_CONNECTED", 22: "RESHAPE", 34: "PAD", 65: "SLICE"}
    kinds = [names.get(codes[operator.opcodeIndex], "QUANTIZE") for operator in model.subgraphs[0].operators]
    (kernel,) = [tensor for tensor in model.subgraphs[0].tensors if tensor.name == b"middle/kernel"]
    assert kernel.type == PACKED_TYPES["INT4"]
    assert len(model.buffers[kernel.buffer].data) == constants["kernel"].size // 2
    return kinds[1:-1]


def test_a_window_takes_a_slice_for_each_of_its_rows_and_columns():
    gathering = ["SLICE"] * 3 + ["CONCATENATION"]
    assert operators({"padding": "same"}, (3, 3)) == ["PAD", *gathering, *gathering, "FULLY_CONNECTED"]
    assert operators({}, (1, 3), output=(8, 6)) == [*gathering, "FULLY_CONNECTED"]
    assert operators({}, (1, 1)) == ["FULLY_CONNECTED"]


def test_columns_of_one_step_are_taken_at_once():
    found = operators({"padding": "same", "strides": (1, 2)}, (1, 3), output=(8, 4))
    assert found == ["PAD", "RESHAPE", "SLICE", "SLICE", "CONCATENATION", "FULLY_CONNECTED"]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"groups": 2}, "Groups"),
        ({"strides": (2, 2), "dilation": (2, 2)}, "dilation"),
        ({"container_bits": 2}, "-2 to 1"),
        ({"bias": 2**26 + 1}, "overflows"),
    ],
)
def test_refuses_what_has_no_packed_form(attributes, message):
    constants = packed_constants((2, 2, 4 // attributes.get("groups", 1), 4), 4, 4, seed=0)
    attributes = dict(attributes)
    constants["bias"][0] = attributes.pop("bias", 0)
    graph = one_operation(
        "conv2d",
        [(8, 8, 4)],
        [Grid(0.1, 0, 15)],
        (8, 8, 4),
        Grid(1.0, 0, 15),
        attributes={"padding": "same", "container_bits": 4, **attributes},
        constants=constants,
    )
    with pytest.raises(ValueError, match=message):
        write_tflite(graph)


def test_refuses_other_kinds():
    graph = one_operation(
        "depthwise_conv2d",
        [(8, 8, 4)],
        [Grid(0.1, 0, 15)],
        (8, 8, 4),
        Grid(1.0, 0, 15),
        attributes={"padding": "same", "container_bits": 4},
        constants=packed_constants((3, 3, 4, 1), 4, 4, seed=0),
    )
    with pytest.raises(ValueError, match="`conv2d` and `dense` may"):
        write_tflite(graph)
