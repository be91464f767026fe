"""Sums, products and extremes of two tensors of one rank whose sizes are equal or 1.

- add, subtract: `(x1 * m1 +- x2 * m2 + 2**(shift - 1)) >> shift`, which rounds half up: `ratio_i = scale_i / scale`,
  `shift = 20 - floor(log2(max(ratio_1, ratio_2)))`, `m_i = rint(ratio_i * 2**shift)`. Close to
  q((x1 * scale1 +- x2 * scale2) / scale), ties apart.
- multiply: q(float32(x1 * x2) * (scale1 * scale2 / scale)), of two different tensors.
- maximum, minimum: of x1 and x2; input and output are on one scale with one `high`. XNNPACK does not run them.

Limits: add and subtract: both `ratio_i` are from 2**-10 to below 256; multiply: `scale1 * scale2 / scale` is from
2**-16 to below 256.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call, Grid, Layer
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.open_values import rescaled
from tfmp.graph.runtime_limits import CODE_SPAN, INT8_HIGH, INT8_LOW, PRODUCT_RATIOS, SUM_RATIOS
from tfmp.operators.affine_map import AffineMap, folded_map
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import MOVES, Attributes, Operator, as_inputs
from tfmp.operators.writing import UNFUSED, Options, TensorTable

# Half of the runtime's limits, because float32 scales are rounded.
_SMALLEST_ADDEND, _LARGEST_ADDEND = 2 * SUM_RATIOS[0], SUM_RATIOS[1] / 2
_SMALLEST_PRODUCT, _LARGEST_PRODUCT = 2 * PRODUCT_RATIOS[0], PRODUCT_RATIOS[1] / 2


def lower_sum(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the sum or the difference of two stored tensors."""
    layer = lowering.graph.layer_of(call)
    if len(call.inputs) != 2:
        raise FoldError(
            layer.name,
            f"it adds {len(call.inputs)} tensors, the runtime adds two",
            "Add them in pairs, as `tfmp.relax` does where their shapes are equal.",
        )
    return added(lowering, call, codes, kind=layer.kind)


def added(lowering: LoweringContext, call: Call, codes: Codes, *, kind: str = "add") -> str:
    """Adds the sum or the difference of the two inputs of a call, and returns its name."""
    layer, sum_codes = lowering.graph.layer_of(call), codes
    _check_ranks(lowering, call, layer)
    grids = [lowering.stored_grid(source, layer.name) for source in call.inputs]
    largest = max(grid.scale for grid in grids)
    if largest > _LARGEST_ADDEND * codes.grid.scale:  # a sum that was always zero when its range was calibrated
        sum_codes = Codes.all_of(Grid(largest, INT8_LOW, INT8_HIGH))
    parts = []
    for source, grid in zip(call.inputs, grids, strict=True):
        part = lowering.stored(source, layer.name)
        if grid.scale < _SMALLEST_ADDEND * sum_codes.grid.scale:
            coarse = Codes.all_of(Grid(_SMALLEST_ADDEND * sum_codes.grid.scale, grid.low, grid.high))
            part = lowering.builder.requantized(part, f"{source}_requantized", coarse)
        parts.append(part)
    shape = lowering.shape(call.outputs[0])
    output = lowering.builder.add(kind, parts, layer.name, shape, sum_codes, layer=layer.name)
    return lowering.requantized(call.outputs[0], output, sum_codes, codes)


def lower_multiply(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the product of two stored tensors."""
    layer = lowering.graph.layer_of(call)
    if len(call.inputs) != 2:
        raise FoldError(
            layer.name,
            f"it multiplies {len(call.inputs)} tensors, the runtime multiplies two",
            "Multiply them in pairs, as `tfmp.relax` does where their shapes are equal.",
        )
    _check_ranks(lowering, call, layer)
    parts = [lowering.stored(source, layer.name) for source in call.inputs]
    return multiplied(lowering, parts, layer.name, call.outputs[0], codes)


def lower_average(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the average of stored tensors: half of the sum of two, or the mean of several on a grid that holds all."""
    layer, builder, shape = lowering.graph.layer_of(call), lowering.builder, lowering.shape(call.outputs[0])
    if len(call.inputs) == 2:
        doubled = rescaled(codes.grid, 2.0)
        total = added(lowering, call, Codes(doubled, codes.low, codes.high))
        half = folded_map(AffineMap(np.asarray(0.5), np.asarray(0.0)), shape[-1], doubled)
        return builder.scaled(total, f"{layer.name}_half", codes, half)  # by a factor of one: it does not round
    if any(lowering.shape(source) != shape for source in call.inputs):
        raise FoldError(
            layer.name,
            f"it averages {len(call.inputs)} tensors of several shapes, the runtime those of one shape",
            "Average two at a time, or repeat the smaller ones.",
        )
    grids = [lowering.stored_grid(source, layer.name) for source in call.inputs]
    common, parts = Codes.all_of(_covering(grids)), []
    for source, grid in zip(call.inputs, grids, strict=True):
        part = lowering.requantized(source, lowering.stored(source, layer.name), Codes.all_of(grid), common)
        parts.append(builder.reshaped(part, f"{source}_row", (shape[0], 1, 1, math.prod(shape[1:]))))
    rows = (shape[0], len(parts), 1, math.prod(shape[1:]))
    joined = builder.add("concatenate", parts, f"{layer.name}_rows", rows, common, attributes={"axis": 1})
    attributes, flat = {"keepdims": False}, (shape[0], rows[-1])
    mean = builder.add("mean", (joined,), layer.name, flat, codes, attributes=attributes, layer=layer.name)
    return builder.reshaped(mean, f"{layer.name}_values", shape)


def _covering(grids: Sequence[Grid]) -> Grid:
    """Returns a grid that holds all values of others: the first one if they are equal."""
    if len(set(grids)) == 1:
        return grids[0]
    low, high = (end(getattr(grid, name) * grid.scale for grid in grids) for end, name in ((min, "low"), (max, "high")))
    scale = (high - low) / (CODE_SPAN - 1)  # a rounded end may be one code outside
    smallest = math.floor(low / scale + 0.5)
    return Grid(scale, smallest, smallest + CODE_SPAN)


def lower_extreme(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the largest or smallest of tensors on the grid of the output, two at a time."""
    layer, builder = lowering.graph.layer_of(call), lowering.builder
    _check_ranks(lowering, call, layer)
    first, *others = [lowering.demand(source, codes) for source in call.inputs]  # which clip their output
    for other in others:
        sizes = zip(builder.sizes(first), builder.sizes(other), strict=True)
        shape = tuple(one if two == 1 else two for one, two in sizes)
        first = builder.add(layer.kind, (first, other), layer.name, shape, Codes.all_of(codes.grid), layer=layer.name)
    return first


def multiplied(lowering: LoweringContext, parts: Sequence[str], name: str, tensor: str, codes: Codes) -> str:
    """Adds the product of two integer tensors that stores a tensor of the graph, and returns its name."""
    product_codes, unit = codes, math.prod([lowering.builder.tensors[part].require_grid().scale for part in parts])
    if unit > _LARGEST_PRODUCT * codes.grid.scale:  # every product except zero is out of range, on either grid
        product_codes = Codes.all_of(Grid(unit, INT8_LOW, INT8_HIGH))
    elif unit < _SMALLEST_PRODUCT * codes.grid.scale:  # the largest product gets code 1 or 2
        product_codes = Codes.all_of(Grid(unit * 2.0**9, INT8_LOW, INT8_HIGH))
    shape, kind, attributes = lowering.shape(tensor), "multiply", {}
    if len(set(parts)) == 1:
        parts, kind, attributes = parts[:1], "activation", {"function": "square"}
    output = lowering.builder.add(kind, parts, name, shape, product_codes, attributes=attributes, layer=name)
    return lowering.requantized(tensor, output, product_codes, codes)


def _check_ranks(lowering: LoweringContext, call: Call, layer: Layer) -> None:
    ranks = sorted({len(lowering.shape(source)) for source in call.inputs})
    if len(ranks) > 1:
        raise FoldError(
            layer.name,
            f"it reads tensors of {ranks[0]} and {ranks[-1]} axes, the runtime broadcasts those of equally many",
            "Reshape the smaller one.",
        )


def write_add(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes ADD of two tensors."""
    _write_sum(table, operation, "ADD", Options("AddOptions", UNFUSED))


def write_subtract(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes SUB of two tensors."""
    _write_sum(table, operation, "SUB", Options("SubOptions", UNFUSED))


def write_multiply(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes MUL of two tensors."""
    _check_shapes(table, operation)
    if len(set(operation.inputs)) == 1:
        raise ValueError(
            f"`multiply` takes two tensors, because the runtime rounds squares in another way. Received: "
            f"{operation.inputs[0]!r} twice at operation {operation.name!r}. Use an `activation` with the function "
            "'square'."
        )
    check_product(table, operation, operation.inputs)
    inputs = [table.index(name) for name in operation.inputs]
    table.add_operator(operation, "MUL", inputs, version=2, options=Options("MulOptions", UNFUSED))


def check_product(table: TensorTable, operation: IntegerOperation, factors: Sequence[str]) -> None:
    """Raises `ValueError` unless the runtime multiplies two tensors with the grids that they and the output have."""
    first, second, scale = (np.float32(table.grid(name).scale) for name in (*factors, operation.output))
    factor, (smallest, limit) = first * second / scale, PRODUCT_RATIOS
    if not smallest <= factor < limit:
        raise ValueError(
            f"The product of the input scales of `{operation.kind}` must be from {smallest:.3g} to below {limit:.0f} "
            f"times the output scale. Received: {factor} times at operation {operation.name!r}. Requantize an input or "
            "choose another output grid."
        )


def write_extreme(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes MAXIMUM or MINIMUM of two tensors on one grid."""
    _check_shapes(table, operation)
    table.same_grid(operation)
    inputs = [table.index(name) for name in operation.inputs]
    grids, end = [table.grid(name) for name in operation.inputs], max if operation.kind == "maximum" else min
    reach = end(grid.low for grid in grids), end(grid.high for grid in grids)
    options, kind = Options("MaximumMinimumOptions"), operation.kind.upper()
    table.add_operator(operation, kind, inputs, version=2, options=options, reach=reach, keeps_zero_point=True)


def _write_sum(table: TensorTable, operation: IntegerOperation, kind: str, options: Options) -> None:
    _check_shapes(table, operation)
    scale = np.float32(table.grid(operation.output).scale)
    ratios = [np.float32(table.grid(name).scale) / scale for name in operation.inputs]
    smallest, limit = SUM_RATIOS
    if not all(smallest <= ratio < limit for ratio in ratios):
        raise ValueError(
            f"The input scales of `{operation.kind}` must be from {smallest:.3g} to below {limit:.0f} times the output "
            f"scale. Received: {ratios[0]} and {ratios[1]} times at operation {operation.name!r}. Requantize the input "
            "that is far off."
        )
    inputs = [table.index(name) for name in operation.inputs]
    table.add_operator(operation, kind, inputs, version=2, options=options)


def _check_shapes(table: TensorTable, operation: IntegerOperation) -> None:
    """Raises `ValueError` unless the sizes of two inputs are equal or 1 on every axis."""
    shapes = [table.shape(name) for name in operation.inputs]
    fit = len(shapes) == 2 and len(shapes[0]) == len(shapes[1])
    if not fit or any(len({1, *sizes}) > 2 for sizes in zip(*shapes, strict=True)):
        raise ValueError(
            f"`{operation.kind}` takes two inputs of one rank, their sizes equal or 1. Received: {shapes} at operation "
            f"{operation.name!r}. Reshape the smaller one."
        )


def _several(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return None if call is not None and len(call.inputs) < 2 else {}


def _averaged(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    return functools.reduce(np.add, inputs) / len(inputs)


def _elementwise(
    kind: str, lower: Callable[..., str], function: Callable[[Any, Any], Any], classes: Sequence[str], **options: Any
) -> Operator:
    return Operator(
        kind,
        lower,
        classes=dict.fromkeys(classes, _several),
        order_free=True,
        channels="merged",
        **{"values": lambda inputs, attributes, shape: functools.reduce(function, inputs), **options},
    )


def _extreme(kind: str, function: Callable[[Any, Any], Any]) -> Operator:
    options = {"reads": MOVES, "joins": True, "non_negative": as_inputs}
    return _elementwise(kind, lower_extreme, function, (kind.title(), f"math.{kind}"), **options)


_MANY = "of two tensors or more, or of a tensor and a number or one number per channel"
_TWO = "of two tensors, or of a tensor and a number or one number per channel"
OPERATORS = (
    _elementwise(
        "add",
        lower_sum,
        np.add,
        ("Add", "math.add", "__operators__.add"),
        forms={"Add": _MANY},
        non_negative=as_inputs,
        pairwise=True,
    ),
    _elementwise("subtract", lower_sum, np.subtract, ("Subtract", "math.subtract"), forms={"Subtract": _TWO}),
    _elementwise(
        "multiply",
        lower_multiply,
        np.multiply,
        ("Multiply", "math.multiply"),
        forms={"Multiply": _MANY},
        non_negative=as_inputs,
        pairwise=True,
    ),
    _elementwise("average", lower_average, np.add, ("Average",), non_negative=as_inputs, values=_averaged),
    _extreme("maximum", np.maximum),
    _extreme("minimum", np.minimum),
)
OPERATIONS = (
    OperationKind("add", write_add),
    OperationKind("subtract", write_subtract),
    OperationKind("multiply", write_multiply),
    OperationKind("maximum", write_extreme),
    OperationKind("minimum", write_extreme),
)
