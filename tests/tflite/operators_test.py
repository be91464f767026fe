"""Every operation in a file computes the codes that the contract says, whatever its shapes and grids."""

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tflite import integer_reference
from tests.tflite.micro_check import check_in_micro_runtime
from tests.tflite.operation_graphs import GRAPHS
from tests.tflite.random_graphs import (
    BATCH,
    clips,
    grids,
    numbers,
    one_operation,
    random_codes,
    sliding,
    spread_scale,
    weights,
)
from tfmp.graph import Grid
from tfmp.graph.runtime_limits import LARGEST_PRODUCT, SMALLEST_SCALE
from tfmp.graph.targets import MICRO
from tfmp.operators import OPERATIONS
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

few = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


def _runs_on_a_microcontroller(operation, graph):
    function = operation.attributes.get("function")
    if function == "elu":  # its results must fit in 32 bits
        return graph.tensors[operation.inputs[0]].grid.scale < 2**20 * graph.tensors[operation.output].grid.scale
    is_packed = operation.attributes.get("container_bits", 8) != 8  # which few of its kernels may be
    return not is_packed and OPERATIONS[operation.kind].missing_in(MICRO, operation, graph) is None


def check(graph, seed, *, outside=()):
    """Runs one operation in the file and in the reference: equal codes, on XNNPACK, and on a microcontroller."""
    rng = np.random.default_rng(seed)
    interpreter = Interpreter(write_tflite(graph, batch_size=BATCH))
    inputs = {
        name: numbers(rng, graph.tensors[f"codes_{index}"].grid, (2 * BATCH + 1, *graph.tensors[name].shape[1:]))
        for index, name in enumerate(graph.inputs)
    }
    codes = interpreter.codes(inputs)
    operation = graph.operations[-2]
    expected = integer_reference.compute(graph, operation, [codes[name] for name in operation.inputs])
    np.testing.assert_array_equal(codes["result"], expected)
    answer = interpreter.run(inputs)["answer"]
    scale = np.float32(graph.tensors["result"].grid.scale)
    np.testing.assert_array_equal(answer, expected.astype(np.float32) * scale)
    assert {kind for kind, _ in interpreter.operators_outside_xnnpack()} <= set(outside)
    if MICRO.is_installed and _runs_on_a_microcontroller(operation, graph):
        check_in_micro_runtime(graph, inputs)
    return codes["result"]


@few
@given(
    sliding(),
    st.sampled_from([(1, 3, 4), (1, 8, 1), (2, 4, 6), (3, 3, 9), (1, 17, 33)]),
    grids(),
    st.data(),
    st.integers(1, 8),
    st.booleans(),
    st.integers(0, 999),
)
def test_convolution(window, channels, input_grid, data, bits, ties, seed):
    (sizes, kernel_size, attributes, output), (groups, inputs, filters) = window, channels
    shape = (*kernel_size, inputs // groups, filters)
    constants = weights(np.random.default_rng(seed), shape, filters, bits=bits, ties=ties)
    grid = data.draw(grids(scale=1.0))
    scale = spread_scale(input_grid, constants, np.prod(shape[:3]), grid, ties=ties)
    grid = Grid(scale, grid.low, grid.high)
    attributes = {**attributes, **data.draw(clips(grid)), "groups": groups}
    result = (*output, filters)
    check(
        one_operation(
            "conv2d", [(*sizes, inputs)], [input_grid], result, grid, attributes=attributes, constants=constants
        ),
        seed,
    )


@few
@given(
    sliding(),
    st.sampled_from([(1, 1), (5, 1), (8, 1), (3, 2), (17, 3)]),
    grids(),
    st.data(),
    st.booleans(),
    st.integers(0, 999),
)
def test_depthwise_convolution(window, channels, input_grid, data, ties, seed):
    (sizes, kernel_size, attributes, output), (inputs, multiplier) = window, channels
    filters = inputs * multiplier
    constants = weights(np.random.default_rng(seed), (*kernel_size, inputs, multiplier), filters, ties=ties)
    grid = data.draw(grids(scale=1.0))
    grid = Grid(spread_scale(input_grid, constants, np.prod(kernel_size), grid, ties=ties), grid.low, grid.high)
    attributes = {**attributes, **data.draw(clips(grid))}
    graph = one_operation(
        "depthwise_conv2d",
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
    st.booleans(),
    st.integers(0, 999),
)
def test_dense(shape, units, input_grid, data, ties, seed):
    constants = weights(np.random.default_rng(seed), (shape[-1], units), units, ties=ties)
    grid = data.draw(grids(scale=1.0))
    grid = Grid(spread_scale(input_grid, constants, shape[-1], grid, ties=ties), grid.low, grid.high)
    result = (*shape[:-1], units)
    attributes = data.draw(clips(grid))
    check(one_operation("dense", [shape], [input_grid], result, grid, attributes=attributes, constants=constants), seed)


# Operators that XNNPACK does not run, by kind.
OUTSIDE = {
    "gelu": ["GELU"],
    "lookup": ["CAST", "GATHER"],
    "gather": ["GATHER"],
    "maximum": ["MAXIMUM"],
    "minimum": ["MINIMUM"],
}


@pytest.mark.parametrize("kind", GRAPHS)
@few
@given(st.data(), st.integers(0, 999))
def test_operation(kind, data, seed):
    check(data.draw(GRAPHS[kind]), seed, outside=OUTSIDE.get(kind, ()))


def test_addition_of_all_pairs_of_codes():
    for scales in ([0.1, 0.1, 0.2], [0.1, 0.3, 0.11], [0.0173, 4.0, 0.5], [1.0, 0.999, 0.007], [0.25, 0.5, 0.75]):
        left, right, grid = (Grid(scale, -128, 127) for scale in scales)
        graph = one_operation("add", [(256,)] * 2, [left, right], (256,), grid)
        interpreter = Interpreter(write_tflite(graph, batch_size=256))
        codes = np.arange(-128, 128, dtype=np.float32)
        across = np.broadcast_to(codes, (256, 256))
        found = interpreter.codes(
            {"input_0": across * np.float32(scales[0]), "input_1": across.T * np.float32(scales[1])}
        )
        expected = integer_reference.compute(graph, graph.operations[-2], [found["codes_0"], found["codes_1"]])
        np.testing.assert_array_equal(found["result"], expected)


@few
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 17)),
    grids(),
    st.data(),
    st.sampled_from([1, 0.5, 1.37, 0.123]),
    st.booleans(),
    st.integers(0, 999),
)
def test_mean(shape, input_grid, data, ratio, keepdims, seed):
    grid = data.draw(grids(scale=input_grid.scale * ratio))
    attributes = {**data.draw(clips(grid)), "keepdims": keepdims}
    result = (1, 1, shape[2]) if keepdims else shape[2:]
    check(one_operation("mean", [shape], [input_grid], result, grid, attributes=attributes), seed)


@few
@given(
    sliding(dilates=False),
    st.sampled_from([1, 3, 16]),
    grids(),
    st.sampled_from(["average_pool", "max_pool"]),
    st.data(),
    st.integers(0, 999),
)
def test_pooling(window, channels, grid, kind, data, seed):
    sizes, pool_size, attributes, output = window
    attributes = {**data.draw(clips(grid)), "pool_size": pool_size, **attributes}
    graph = one_operation(kind, [(*sizes, channels)], [grid], (*output, channels), grid, attributes=attributes)
    outside = ["AVERAGE_POOL_2D"] if attributes["padding"] == "same" else []
    if any(stride > size for stride, size in zip(attributes["strides"], pool_size, strict=True)):
        outside.append("MAX_POOL_2D")  # XNNPACK does not skip pixels; the runtime's own kernel is as exact.
    check(graph, seed, outside=outside)


@few
@given(grids(), st.sampled_from([(24,), (6, 4), (2, 2, 6), (1, 24, 1)]), st.data(), st.integers(0, 999))
def test_reshape(grid, shape, data, seed):
    check(one_operation("reshape", [(4, 2, 3)], [grid], shape, grid, attributes=data.draw(clips(grid))), seed)


def test_concatenation_of_many_tensors():
    graph = one_operation("concatenate", [(3,)] * 6, [Grid(0.1, -7, 8)] * 6, (18,), Grid(0.1, -7, 8))
    check(graph, seed=0, outside=["CONCATENATION"])


@few
@given(st.sampled_from([(10,), (2,), (3, 7)]), grids(), st.integers(0, 999))
def test_softmax(shape, grid, seed):
    graph = one_operation("softmax", [shape], [grid], shape, Grid(1 / 256, 0, 255))
    check(graph, seed, outside=["SOFTMAX"])


@few
@given(grids(), st.data(), st.integers(0, 999))
def test_quantization_of_any_number(grid, data, seed):
    rng = np.random.default_rng(seed)
    graph = one_operation("reshape", [(200,)], [grid], (200,), grid)
    inputs = rng.normal(0, grid.scale * (grid.high - grid.low), (BATCH, 200)).astype(np.float32)
    halves = (random_codes(rng, grid, (BATCH, 200)) + 0.5).astype(np.float32) * np.float32(grid.scale)
    inputs = np.where(rng.random(inputs.shape) < 0.3, halves, inputs)
    found = Interpreter(write_tflite(graph)).codes(inputs)["codes_0"]
    np.testing.assert_array_equal(found, integer_reference.compute(graph, graph.operations[0], [inputs]))


@pytest.mark.default_cases("-128", "-103", "-53", "-3", "2", "57", "127")
@pytest.mark.parametrize("zero_point", range(-128, 128, 5))
def test_clip_is_exact_between_any_bounds(zero_point):
    high = 127 - zero_point
    for low in {-1, -high, -(high // 3), high - 255}:
        if low < 0 < high:
            grid = Grid(0.1, max(low, high - 255), high)
            graph = one_operation(
                "max_pool", [(4, 4, 8)], [Grid(0.1, high - 255, high)], (4, 4, 8), grid, attributes=ONE
            )
            check(graph, seed=0)


ONE = {"pool_size": (1, 1)}


NEAR_256 = float(np.nextafter(np.float32(256), np.float32(0)))
LEAKY_LIMIT = 128 - 2**-8
SMALL = 1.5 * SMALLEST_SCALE


@pytest.mark.parametrize(
    ("kind", "scales", "attributes"),
    [
        *(("add", (ratio, other, 1), {}) for ratio in (2**-10, NEAR_256) for other in (2**-10, 1.0, NEAR_256)),
        *(("subtract", (ratio, other, 1), {}) for ratio in (2**-10, NEAR_256) for other in (2**-10, 1.0, NEAR_256)),
        *(("multiply", (ratio, 1, 1), {}) for ratio in (2**-16, NEAR_256)),
        *(("activation", (1, scale), {"function": "square"}) for scale in (2**16, 1 / NEAR_256)),
        *(
            ("activation", (ratio, 1), {"function": "leaky_relu", "negative_slope": slope})
            for ratio, slope in [
                (2**-8, 1),
                (2**-8, -1),
                (LEAKY_LIMIT, 1),
                (LEAKY_LIMIT, -1),
                (2**-7, 2**-1),
                (64, 2**-14),
            ]
        ),
        *(("activation", (ratio, 1), {"function": name}) for ratio in (1e-9, 1e9) for name in ("elu", "gelu")),
        ("activation", (1e9, 1 / 128), {"function": "tanh"}),
        ("activation", (1e9, 1 / 256), {"function": "sigmoid"}),
        *(("mean", (ratio, 1), {}) for ratio in (2**-30, 1000)),
        *(("add", (scale, scale, scale), {}) for scale in (SMALL, 1e36)),
        ("multiply", (SMALL, 1, SMALL), {}),
        ("resize", (SMALL, SMALL), {}),
        ("max_pool", (SMALL, SMALL), ONE),
    ],
)
def test_scales_at_their_limits(kind, scales, attributes):
    *sources, grid = (Grid(scale, -128, 127) for scale in scales)
    if attributes.get("function") == "sigmoid":
        grid = Grid(1 / 256, 0, 255)
    shape, result = (3, 3, 8), (8,) if kind == "mean" else (3, 3, 8)
    graph = one_operation(kind, [shape] * len(sources), sources, result, grid, attributes=attributes)
    check(graph, seed=0, outside=["GELU"] if attributes.get("function") == "gelu" else ())


@pytest.mark.parametrize("factor", [1e-30, 2.0**-40, 2.0**-31, NEAR_256])
@pytest.mark.parametrize("kind", ["dense", "conv2d_transpose"])
def test_factors_at_their_limits(kind, factor):
    shape, result = ((4,), (5,)) if kind == "dense" else ((3, 3, 4), (6, 6, 5))
    constants = weights(np.random.default_rng(0), (4, 5) if kind == "dense" else (2, 2, 5, 4), 5)
    products = 255 * 127 * (4 if kind == "dense" else 16)
    largest = min(2**30, int(LARGEST_PRODUCT / factor) - products - 1)
    bias = np.array([largest, -largest, 0, 1, -largest], np.int32)
    constants.update(kernel_scale=np.full(5, factor, np.float32), bias=bias)
    attributes = {} if kind == "dense" else {"strides": (2, 2), "padding": "valid"}
    grids = Grid(1, -8, 7), Grid(1, -128, 127)
    check(one_operation(kind, [shape], grids[:1], result, grids[1], attributes=attributes, constants=constants), seed=0)


@pytest.mark.parametrize("kind", ["add", "subtract"])
def test_one_tensor_with_itself(kind):
    grid, names = Grid(0.1, -128, 127), ("codes_0", "codes_0")
    graph = one_operation(kind, [(400,)], [grid], (400,), Grid(0.07, -128, 127))
    *before, middle, last = graph.operations
    operations = (*before, dataclasses.replace(middle, inputs=names), last)
    check(dataclasses.replace(graph, operations=operations), seed=0)
