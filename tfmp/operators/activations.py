"""Activation functions."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfmp.graph import Call, Grid, Layer
from tfmp.graph.integer_graph import FIXED_GRIDS
from tfmp.graph.runtime_limits import CODE_SPAN, LEAKY_RELU_FACTORS
from tfmp.operators.affine_map import AffineMap, folded_map
from tfmp.operators.elementwise import multiplied
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operator import MOVES, Attributes, Clip, Operator, always, given

_ARGUMENTS = ("approximate", "negative_slope")
_GATE = Codes.all_of(Grid(1 / CODE_SPAN, 0, CODE_SPAN))


def lower_relu(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers ReLU to a tighter clip in the operation that computes its input."""
    return lowering.demand(call.inputs[0], codes.rectified(lowering.graph.layer_of(call).attributes.get("max_value")))


def lower_on_fixed_grid(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers sigmoid, tanh and softmax, for each of which the runtime prescribes the output grid."""
    layer = lowering.graph.layer_of(call)
    fixed = Codes.all_of(FIXED_GRIDS[layer.kind])
    kind, attributes = ("softmax", {}) if layer.kind == "softmax" else ("activation", {"function": layer.kind})
    shape, sources = lowering.shape(call.outputs[0]), (lowering.stored(call.inputs[0], layer.name),)
    output = lowering.builder.add(kind, sources, layer.name, shape, fixed, attributes=attributes, layer=layer.name)
    return lowering.requantized(call.outputs[0], output, fixed, codes)


def lower_function(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers functions that the runtime writes on any grid."""
    layer = lowering.graph.layer_of(call)
    given = {name: layer.attributes[name] for name in _ARGUMENTS if name in layer.attributes}
    attributes = {"function": layer.kind, **given}
    source, shape = lowering.stored(call.inputs[0], layer.name), lowering.shape(call.outputs[0])
    return lowering.builder.add(
        "activation", (source,), layer.name, shape, codes, attributes=attributes, layer=layer.name
    )


def lower_leaky_relu(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers a leaky ReLU to LEAKY_RELU if its factors have enough digits, otherwise like a parametric ReLU."""
    layer = lowering.graph.layer_of(call)
    slope, (smallest, largest) = float(layer.attributes["negative_slope"]), LEAKY_RELU_FACTORS
    ratio = np.float32(lowering.stored_grid(call.inputs[0], layer.name).scale) / np.float32(codes.grid.scale)
    if all(smallest <= factor <= largest for factor in (ratio, abs(ratio * np.float32(slope)))):
        return lower_function(lowering, call, codes)
    return _in_two_parts(lowering, call, codes, np.asarray(slope))


def lower_prelu(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers a parametric ReLU, with one slope per channel, or per value if the slopes differ along other axes too."""
    layer = lowering.graph.layer_of(call)
    return _in_two_parts(lowering, call, codes, np.asarray(layer.weights["alpha"], np.float64))


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


def _in_two_parts(lowering: LoweringContext, call: Call, codes: Codes, slope: np.ndarray) -> str:
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


def _clip(layer: Layer) -> Clip:
    max_value = layer.attributes.get("max_value")
    return 0.0, math.inf if max_value is None else max_value


def _rectified(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    max_value = config.get("max_value")
    if config.get("threshold") or config.get("negative_slope"):
        return None
    return {"max_value": None if max_value is None else float(max_value)}


def _clipped(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return _rectified({"max_value": config["x_max"]}, call) if config["x_min"] == 0 else None


def _leaky(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"negative_slope": float(config.get("negative_slope", config.get("alpha")))}


def _leaky_rectified(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    others = config.get("threshold") or config.get("max_value") is not None
    return None if others or not config.get("negative_slope") else _leaky(config, call)


def _elu(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {} if float(config["alpha"]) == 1 else None


def _gelu(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"approximate": bool(config.get("approximate", True))}


def _last_axis(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {} if config.get("axis", -1) == -1 else None


def _logistic(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _softmax_values(x: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _gelu_values(x: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    if attributes["approximate"]:
        return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    from scipy import special  # takes 0.2 seconds, which most programs do not need to spend

    return x / 2 * (1 + special.erf(x / np.sqrt(2)))


def _activation(
    kind: str,
    lower: Callable[..., str],
    values: Callable[[np.ndarray, Mapping[str, Any]], np.ndarray] | None,
    **options: Any,
) -> Operator:
    return Operator(
        kind,
        lower,
        order_free=True,
        each_value=True,
        values=None if values is None else lambda inputs, attributes, shape: values(inputs[0], attributes),
        **options,
    )


_ELU = "with `alpha=1`"
OPERATORS = (
    _activation(
        "relu",
        lower_relu,
        lambda x, attributes: np.clip(x, 0, np.inf if attributes["max_value"] is None else attributes["max_value"]),
        classes={
            "ReLU": _rectified,
            "Relu": given(max_value=None),
            "Relu6": given(max_value=6.0),
            "Clip": _clipped,
            "nn.relu": given(max_value=None),
            "nn.relu6": given(max_value=6.0),
        },
        functions={"relu": {"max_value": None}, "relu6": {"max_value": 6.0}},
        forms={
            "ReLU": "with `threshold=0`, and without `max_value` where it has a `negative_slope`",
            "Clip": "with 0 as its smallest value",
        },
        reads=MOVES,
        non_negative=always,
        clip=_clip,
        needed=("max_value",),
    ),
    _activation(
        "leaky_relu",
        lower_leaky_relu,
        lambda x, attributes: np.where(x < 0, attributes["negative_slope"] * x, x),
        classes={"LeakyReLU": _leaky, "LeakyRelu": _leaky, "ReLU": _leaky_rectified},
        functions={"leaky_relu": {"negative_slope": 0.2}},
        needed=("negative_slope",),
    ),
    _activation("prelu", lower_prelu, None, classes={"PReLU": given()}, arrays={"alpha": 1.0}, channels="followed"),
    _activation(
        "elu",
        lower_function,
        lambda x, _: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
        classes={"ELU": _elu, "Elu": _elu, "nn.elu": given()},
        functions={"elu": {}},
        forms={"ELU": _ELU, "Elu": _ELU},
    ),
    _activation(
        "gelu",
        lower_function,
        _gelu_values,
        classes={"Gelu": _gelu},
        functions={"gelu": {"approximate": False}},
        needed=("approximate",),
    ),
    _activation(
        "sigmoid",
        lower_on_fixed_grid,
        lambda x, _: _logistic(x),
        classes={"Sigmoid": given(), "math.sigmoid": given()},
        functions={"sigmoid": {}},
        grid=FIXED_GRIDS["sigmoid"],
        non_negative=always,
    ),
    _activation(
        "tanh",
        lower_on_fixed_grid,
        lambda x, _: np.tanh(x),
        classes={"Tanh": given(), "math.tanh": given()},
        functions={"tanh": {}},
        grid=FIXED_GRIDS["tanh"],
    ),
    _activation(
        "softmax",
        lower_on_fixed_grid,
        _softmax_values,
        classes={"Softmax": _last_axis},
        functions={"softmax": {}},
        forms={"Softmax": "over the last axis"},
        grid=FIXED_GRIDS["softmax"],
        non_negative=always,
    ),
    _activation(
        "swish",
        lower_swish,
        lambda x, _: x * _logistic(x),
        classes={"Silu": given(), "nn.silu": given()},
        functions={"silu": {}, "swish": {}},
    ),
    _activation(
        "hard_swish",
        lower_hard_swish,
        lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
        classes={"HardSilu": given()},
        functions={"hard_silu": {}, "hard_swish": {}},
    ),
)
