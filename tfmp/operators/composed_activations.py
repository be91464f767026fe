"""Functions that several integer operations compute: parametric ReLU, swish, hard swish, square and absolute value."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfmp.graph import Call, Grid
from tfmp.graph.integer_graph import FIXED_GRIDS
from tfmp.graph.runtime_limits import CODE_SPAN
from tfmp.operators.affine_map import AffineMap, folded_map
from tfmp.operators.constant_operands import exponent_of
from tfmp.operators.elementwise import multiplied
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operator import Attributes, Operator, always, given

_GATE = Codes.all_of(Grid(1 / CODE_SPAN, 0, CODE_SPAN))


def lower_prelu(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers a parametric ReLU, with one slope per channel, or per value if the slopes differ along other axes too."""
    layer = lowering.graph.layer_of(call)
    return in_two_parts(lowering, call, codes, np.asarray(layer.weights["alpha"], np.float64))


def in_two_parts(lowering: LoweringContext, call: Call, codes: Codes, slope: np.ndarray) -> str:
    """Adds max(x, 0) + slope * min(x, 0). One part of each value is zero, so the sum does not round."""
    layer, builder = lowering.graph.layer_of(call), lowering.builder
    source, grid = lowering.stored(call.inputs[0], layer.name), lowering.stored_grid(call.inputs[0], layer.name)
    shape, flat = lowering.shape(call.outputs[0]), source
    per_value = slope.ndim > 1 and slope.shape[:-1] != (1,) * (slope.ndim - 1)
    if per_value:
        slope = np.broadcast_to(slope, shape[1:])
        flat = builder.reshaped(source, f"{layer.name}_values", (shape[0], int(np.prod(shape[1:]))))
    slope = slope.reshape(-1) if slope.ndim else slope
    channels = builder.sizes(flat)[-1]
    positive = builder.requantized(flat, f"{layer.name}_positive", codes.between(0, np.inf))
    negative = builder.requantized(flat, f"{layer.name}_negative", Codes(grid, min(grid.low, 0), 0))
    constants = folded_map(AffineMap(slope, np.zeros_like(slope)), channels, grid)
    negative = builder.scaled(negative, f"{layer.name}_scaled", codes, constants)
    total = builder.tensors[flat].shape
    name = f"{layer.name}_sum" if per_value else layer.name
    output = builder.add("add", (positive, negative), name, total, codes, layer="" if per_value else layer.name)
    return builder.reshaped(output, layer.name, shape) if per_value else output


def lower_swish(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers swish to the product of x and sigmoid(x)."""
    layer = lowering.graph.layer_of(call)
    source, shape = lowering.stored(call.inputs[0], layer.name), lowering.shape(call.outputs[0])
    fixed = Codes.all_of(FIXED_GRIDS["sigmoid"])
    attributes = {"function": "sigmoid"}
    gate = lowering.builder.add("activation", (source,), f"{layer.name}_gate", shape, fixed, attributes=attributes)
    return multiplied(lowering, (source, gate), layer.name, call.outputs[0], codes)


def lower_hard_swish(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers hard swish to the product of x and relu6(x + 3) / 6."""
    layer = lowering.graph.layer_of(call)
    source, grid = lowering.stored(call.inputs[0], layer.name), lowering.stored_grid(call.inputs[0], layer.name)
    ramp = AffineMap(np.asarray(1 / 6), np.asarray(0.5))
    constants = folded_map(ramp, lowering.shape(call.inputs[0])[-1], grid)
    gate = lowering.builder.scaled(source, f"{layer.name}_gate", _GATE, constants)
    return multiplied(lowering, (source, gate), layer.name, call.outputs[0], codes)


def lower_square(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers a square to the product of the tensor with itself."""
    name = lowering.graph.layer_of(call).name
    source = lowering.stored(call.inputs[0], name)
    return multiplied(lowering, (source, source), name, call.outputs[0], codes)


def lower_absolute(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers an absolute value to a parametric ReLU of slope -1."""
    return in_two_parts(lowering, call, codes, np.asarray(-1.0))


def logistic(x: np.ndarray) -> np.ndarray:
    """Returns the sigmoid."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def activation(
    kind: str,
    lower: Callable[..., str],
    values: Callable[[np.ndarray, Mapping[str, Any]], np.ndarray] | None,
    **options: Any,
) -> Operator:
    """Returns the record of an activation function.

    Args:
        kind: Its kind.
        lower: As in `Operator`.
        values: Function of (float64 input, attributes) that computes it in NumPy, or None.
        **options: Other fields of the record.
    """
    return Operator(
        kind,
        lower,
        order_free=True,
        each_value=True,
        values=None if values is None else lambda inputs, attributes, shape: values(inputs[0], attributes),
        **options,
    )


def _exponent_two(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {} if exponent_of(call) == 2 else None


OPERATORS = (
    activation("prelu", lower_prelu, None, classes={"PReLU": given()}, arrays={"alpha": 1.0}, channels="followed"),
    activation(
        "swish",
        lower_swish,
        lambda x, _: x * logistic(x),
        classes={"Silu": given(), "nn.silu": given()},
        functions={"silu": {}, "swish": {}},
    ),
    activation(
        "hard_swish",
        lower_hard_swish,
        lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
        classes={"HardSilu": given()},
        functions={"hard_silu": {}, "hard_swish": {}},
    ),
    activation(
        "squared",
        lower_square,
        lambda x, _: x**2,
        classes={"Square": given(), "math.square": given(), **dict.fromkeys(("Power", "math.pow"), _exponent_two)},
        non_negative=always,
    ),
    activation(
        "absolute",
        lower_absolute,
        lambda x, _: np.abs(x),
        classes=dict.fromkeys(("Absolute", "Abs", "Fabs", "math.abs"), given()),
        non_negative=always,
    ),
)
