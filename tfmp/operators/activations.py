"""Activation functions that one integer operation computes, or a clip.

- activation, `y = float32(function(x * input_scale)) * (1 / scale)`: rint(y + zero_point) - zero_point for `function`
  `"sigmoid"`, `"tanh"`, `"elu"` and `"square"`; y rounded half away from zero for `"gelu"`, by the error function or,
  if `approximate`, by tanh. For `"leaky_relu"` `(x * m + 128) >> 8` with `m = rint(256 * ratio)`, ratio being
  `input_scale / scale`, times `negative_slope` where x is negative.
- softmax: q(softmax(x * input_scale) / scale), over the last axis.

Limits: both ratios of leaky_relu are from 2**-8 to 2**7 - 2**-8, whatever the sign of the slope; sigmoid writes
Grid(1 / 256, 0, 255), tanh Grid(1 / 128, -128, 127), softmax Grid(1 / 256, 0, 255). The runtime's own kernels, not
XNNPACK, compute softmax and gelu; `input_scale**2 / scale` of a square is in the limits of `multiply`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmp.graph import Call, Layer
from tfmp.graph.integer_graph import FIXED_GRIDS, IntegerOperation
from tfmp.graph.runtime_limits import LEAKY_RELU_FACTORS
from tfmp.operators.composed_activations import activation, in_two_parts, logistic
from tfmp.operators.constant_operands import clips
from tfmp.operators.elementwise import check_product
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import MOVES, Attributes, Clip, always, given
from tfmp.operators.writing import UNFUSED, Options, TensorTable
from tfmp.operators.writing.tensor_table import ANY_CODE

_ARGUMENTS = ("approximate", "negative_slope")
_FILE_OPERATORS = {  # function to the operator of the file
    "sigmoid": "LOGISTIC",
    "tanh": "TANH",
    "elu": "ELU",
    "leaky_relu": "LEAKY_RELU",
    "gelu": "GELU",
    "square": "MUL",
}


def lower_relu(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers ReLU to a tighter clip in the operation that computes its input."""
    return lowering.demand(call.inputs[0], codes.rectified(lowering.graph.layer_of(call).attributes.get("max_value")))


def lower_clip(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers a clip to a tighter clip in the operation that computes its input."""
    return lowering.demand(call.inputs[0], codes.between(*_bounds(lowering.graph.layer_of(call))))


def lower_on_fixed_grid(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers sigmoid and tanh, for each of which the runtime prescribes the output grid."""
    layer = lowering.graph.layer_of(call)
    fixed, attributes = Codes.all_of(FIXED_GRIDS[layer.kind]), {"function": layer.kind}
    shape, sources = lowering.shape(call.outputs[0]), (lowering.stored(call.inputs[0], layer.name),)
    output = lowering.builder.add(
        "activation", sources, layer.name, shape, fixed, attributes=attributes, layer=layer.name
    )
    return lowering.requantized(call.outputs[0], output, fixed, codes)


def lower_softmax(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Lowers a softmax, over another axis than the last between two transpositions."""
    layer, builder, fixed = lowering.graph.layer_of(call), lowering.builder, Codes.all_of(FIXED_GRIDS["softmax"])
    shape = lowering.shape(call.outputs[0])
    axis = layer.attributes.get("axis", -1) % len(shape)
    if axis == 0:
        raise FoldError(layer.name, "it compares samples with each other", "Give it another axis than the first.")
    source = lowering.stored(call.inputs[0], layer.name)
    if axis == len(shape) - 1:
        output = builder.add("softmax", (source,), layer.name, shape, fixed, layer=layer.name)
    else:
        order = list(range(len(shape)))
        order[axis], order[-1] = order[-1], axis
        turned = builder.transposed(source, f"{layer.name}_last", order)
        last = builder.add("softmax", (turned,), layer.name, builder.sizes(turned), fixed, layer=layer.name)
        output = builder.transposed(last, f"{layer.name}_back", order)
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
    return in_two_parts(lowering, call, codes, np.asarray(slope))


def write_activation(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes LOGISTIC, TANH, ELU, LEAKY_RELU or GELU; of a square, MUL of the tensor with itself."""
    function, grid = operation.attributes["function"], table.grid(operation.output)
    if function not in _FILE_OPERATORS:
        raise ValueError(
            f"`function` must be one of {', '.join(_FILE_OPERATORS)}. Received: {function!r} at operation "
            f"{operation.name!r}. Compose it of these, additions and products."
        )
    if grid != FIXED_GRIDS.get(function, grid):
        raise ValueError(
            f"{function} writes {FIXED_GRIDS[function]}. Received: {grid} at operation {operation.name!r}. Requantize "
            "its output, and give narrower bounds as `low` and `high`."
        )
    kind, version, options = _FILE_OPERATORS[function], 1, None
    if function == "leaky_relu":
        version, options = 2, _leaky_options(table, operation)
    elif function == "gelu":
        version = 2
        options = Options("GeluOptions", {"approximate": bool(operation.attributes.get("approximate", False))})
    inputs, reach = [table.index(operation.inputs[0])], ANY_CODE
    if function == "square":
        check_product(table, operation, operation.inputs * 2)
        inputs, version, options, reach = inputs * 2, 2, Options("MulOptions", UNFUSED), (0, math.inf)
    # The rounding of some depends on the zero point, so none writes into a helper tensor.
    table.add_operator(operation, kind, inputs, version=version, options=options, reach=reach, keeps_zero_point=True)


def _leaky_options(table: TensorTable, operation: IntegerOperation) -> Options:
    alpha = float(np.float32(operation.attributes["negative_slope"]))
    scale = np.float32(table.grid(operation.output).scale)
    ratio = np.float32(table.grid(operation.inputs[0]).scale) / scale
    factors = ratio, abs(ratio * np.float32(alpha))
    smallest, largest = LEAKY_RELU_FACTORS
    if not all(smallest <= factor <= largest for factor in factors):
        raise ValueError(
            f"The input scale of leaky_relu, and that times its slope, must be from {smallest} to {largest:.3f} times "
            f"the output scale. Received: {factors[0]} and {factors[1]} times at operation {operation.name!r}. "
            "Requantize the input, or use a ReLU for a slope of almost zero."
        )
    return Options("LeakyReluOptions", {"alpha": alpha})


def write_softmax(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes SOFTMAX over the last axis."""
    grid, fixed = table.grid(operation.output), FIXED_GRIDS["softmax"]
    if grid != fixed:
        raise ValueError(f"`softmax` writes {fixed}. Received: {grid} at operation {operation.name!r}.")
    options = Options("SoftmaxOptions", {"beta": 1.0})
    inputs = [table.index(operation.inputs[0])]
    reach = (grid.low, grid.high)
    table.add_operator(operation, "SOFTMAX", inputs, version=2, options=options, reach=reach, keeps_zero_point=True)


def _clip(layer: Layer) -> Clip:
    max_value = layer.attributes.get("max_value")
    return 0.0, math.inf if max_value is None else max_value


def _bounds(layer: Layer) -> Clip:
    return layer.attributes["low"], layer.attributes["high"]


def _rectified(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    max_value = config.get("max_value")
    if config.get("threshold") or config.get("negative_slope"):
        return None
    return {"max_value": None if max_value is None else float(max_value)}


def _from_zero(low: float, high: float) -> Attributes | None:
    return {"max_value": None if math.isinf(high) else high} if low == 0 else None


def _around_zero(low: float, high: float) -> Attributes | None:
    return {"low": low, "high": high} if low <= 0 < high else None


def _leaky(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"negative_slope": float(config.get("negative_slope", config.get("alpha")))}


def _leaky_rectified(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    others = config.get("threshold") or config.get("max_value") is not None
    return None if others or not config.get("negative_slope") else _leaky(config, call)


def _elu(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {} if float(config["alpha"]) == 1 else None


def _gelu(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"approximate": bool(config.get("approximate", True))}


def _gelu_of_call(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    given_approximate = () if call is None else (*call.args[1:], *call.kwargs.values())
    return {"approximate": bool(given_approximate and given_approximate[0])}


def _one_axis(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    axis = config.get("axis", -1)
    if call is not None and "function" in config:  # of TensorFlow
        axis = call.kwargs.get("axis", call.args[1] if len(call.args) > 1 else -1)
    return {"axis": -1 if axis is None else axis} if axis is None or isinstance(axis, int) else None


def _leaky_of_call(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    slope = None if call is None else call.kwargs.get("alpha", call.args[1] if len(call.args) > 1 else 0.2)
    return None if slope is None else {"negative_slope": float(slope)}


def _softmax_values(x: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    axis = attributes.get("axis", -1)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _gelu_values(x: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    if attributes["approximate"]:
        return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    from scipy import special  # takes 0.2 seconds, which most programs do not need to spend

    return x / 2 * (1 + special.erf(x / np.sqrt(2)))


OPERATORS = (
    activation(
        "relu",
        lower_relu,
        lambda x, attributes: np.clip(x, 0, np.inf if attributes["max_value"] is None else attributes["max_value"]),
        classes={
            "ReLU": _rectified,
            "Relu": given(max_value=None),
            "Relu6": given(max_value=6.0),
            **clips(_from_zero),
            "nn.relu": given(max_value=None),
            "nn.relu6": given(max_value=6.0),
        },
        functions={"relu": {"max_value": None}, "relu6": {"max_value": 6.0}},
        reads=MOVES,
        non_negative=always,
        clip=_clip,
        needed=("max_value",),
    ),
    activation(
        "clip",
        lower_clip,
        lambda x, attributes: np.clip(x, attributes["low"], attributes["high"]),
        classes={"HardTanh": given(low=-1.0, high=1.0), **clips(_around_zero)},
        functions={"hard_tanh": {"low": -1.0, "high": 1.0}},
        reads=MOVES,
        non_negative=lambda layer, inputs: inputs or layer.attributes["low"] >= 0,
        clip=_bounds,
        needed=("low", "high"),
    ),
    activation(
        "leaky_relu",
        lower_leaky_relu,
        lambda x, attributes: np.where(x < 0, attributes["negative_slope"] * x, x),
        classes={"LeakyReLU": _leaky, "LeakyRelu": _leaky, "ReLU": _leaky_rectified, "nn.leaky_relu": _leaky_of_call},
        functions={"leaky_relu": {"negative_slope": 0.2}},
        needed=("negative_slope",),
    ),
    activation(
        "elu",
        lower_function,
        lambda x, _: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
        classes={"ELU": _elu, "Elu": _elu, "nn.elu": given()},
        functions={"elu": {}},
    ),
    activation(
        "gelu",
        lower_function,
        _gelu_values,
        classes={"Gelu": _gelu, "nn.gelu": _gelu_of_call},
        functions={"gelu": {"approximate": False}},
        needed=("approximate",),
    ),
    activation(
        "sigmoid",
        lower_on_fixed_grid,
        lambda x, _: logistic(x),
        classes={"Sigmoid": given(), "math.sigmoid": given()},
        functions={"sigmoid": {}},
        grid=FIXED_GRIDS["sigmoid"],
        non_negative=always,
    ),
    activation(
        "tanh",
        lower_on_fixed_grid,
        lambda x, _: np.tanh(x),
        classes={"Tanh": given(), "math.tanh": given()},
        functions={"tanh": {}},
        grid=FIXED_GRIDS["tanh"],
    ),
    activation(
        "softmax",
        lower_softmax,
        _softmax_values,
        classes=dict.fromkeys(("Softmax", "nn.softmax"), _one_axis),
        functions={"softmax": {}},
        forms={"Softmax": "over one axis"},
        grid=FIXED_GRIDS["softmax"],
        non_negative=always,
    ),
)
_NO_GELU = {"micro": lambda operation, graph: "has no GELU" if operation.attributes["function"] == "gelu" else None}
OPERATIONS = (
    OperationKind("activation", write_activation, lacks=_NO_GELU),
    OperationKind("softmax", write_softmax),
)
