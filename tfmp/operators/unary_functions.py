"""Functions of one tensor, by a table of the outputs of all codes.

- lookup: table[x + input_zero_point + 128] - zero_point, with the constant `table`, `[256]`: for every stored input,
  from -128 to 127, the stored output, int8.

A table is exact whatever the function is. The runtime's own kernels, not XNNPACK, read it, ten times slower than
LOGISTIC (`tools/measure_operators.py`).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfmp.graph import Call, Grid, Layer
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.open_values import Constant, OpenArray, is_open, scales_of
from tfmp.graph.runtime_limits import INT8_HIGH, INT8_LOW
from tfmp.operators.composed_activations import activation
from tfmp.operators.constant_operands import clips, exponent_of
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import Attributes, Operator, always, as_inputs, given
from tfmp.operators.operator_table import TABLE, non_negative_tensors
from tfmp.operators.writing import UNFUSED, Options, Quantization, TensorTable

_STORED = np.arange(INT8_LOW, INT8_HIGH + 1)
_TYPICAL_NUMBER = 8.0  # of tensors whose grid is open


def unary(kind: str, function: Callable[..., np.ndarray], *, needed: tuple[str, ...] = (), **options: Any) -> Operator:
    """Returns the record of a kind that applies a function to every value, which a table of all 8-bit codes computes.

    Args:
        kind: Its name.
        function: Function of a float64 array, and of the attributes `needed` by name, that returns an array of the same
            shape. It must be finite at zero, and a number wherever its input can be.
        needed: Names of attributes.
        **options: Other fields of `Operator`: the classes and functions of Keras that compute it, and `non_negative`.

    Example:
        >>> tfmp.operators.register(tfmp.operators.unary("softcap", lambda x: 30 * np.tanh(x / 30)))
        >>> tfmp.register_layer(softcap, "softcap")
    """

    def values(x: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
        return function(x, **{name: attributes[name] for name in needed})

    return activation(kind, lower_by_table, values, needed=needed, **options)


def lower_by_table(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the table of a kind that has `values`."""
    layer = lowering.graph.layer_of(call)
    source, grid = lowering.stored(call.inputs[0], layer.name), lowering.stored_grid(call.inputs[0], layer.name)
    signed = call.inputs[0] not in non_negative_tensors(lowering.graph)
    constants, shape = {"table": code_table(layer, grid, codes, signed=signed)}, lowering.shape(call.outputs[0])
    return lowering.builder.add("lookup", (source,), layer.name, shape, codes, constants=constants, layer=layer.name)


def code_table(layer: Layer, grid: Grid, codes: Codes, *, signed: bool = True) -> Constant:
    """Returns the stored outputs of all stored inputs, int8 `[256]`, for a layer whose kind has `values`.

    Args:
        layer: The layer.
        grid: Grid of its input.
        codes: Codes of its output.
        signed: True if its input may be negative; an open grid does not say it.

    Raises:
        FoldError: If the function has no value for a code of the input, or none for zero.
    """
    function = TABLE[layer.kind].values
    if function is None:
        raise ValueError(f"Expected a kind with `values`. Received: layer `{layer.name}` of kind {layer.kind!r}")
    if is_open(grid):
        inputs = np.linspace(-_TYPICAL_NUMBER if signed else 0.0, _TYPICAL_NUMBER, _STORED.size)
        inputs[np.abs(inputs).argmin()] = 0.0
    else:
        inputs = np.clip(_STORED - grid.zero_point, grid.low, grid.high) * np.float64(grid.scale)
    with np.errstate(all="ignore"):  # a large input may overflow, which its code does not
        outputs = np.asarray(function([inputs], layer.attributes, inputs.shape), np.float64)
    undefined = inputs[np.isnan(outputs) | (np.isinf(outputs) & (inputs == 0))]
    if undefined.size:
        raise FoldError(
            layer.name,
            f"it computes `{layer.kind}`, which has no value at {undefined[0]:.3g}, where its input is quantized",
            "Put a ReLU before it, if only negative numbers have none.",
        )
    if is_open(grid, codes.grid):
        return OpenArray(outputs.shape, np.int8, (layer.kind, repr(layer.attributes), grid, codes))
    outputs = np.clip(np.rint(outputs / np.float64(codes.grid.scale)), codes.low, codes.high)
    return (outputs + codes.grid.zero_point).astype(np.int8)


def write_lookup(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes GATHER from the table, with the stored codes as int32 indices.

    Indices count from zero. Where CAST has uint8, it makes the codes below zero the upper half of the indices, and the
    file has the table in this order; otherwise ADD shifts them.
    """
    name, shape, sink = operation.name, table.shape(operation.output), table.sink
    outputs, source = operation.constants["table"], table.index(operation.inputs[0])
    indices = sink.tensor(f"{name}/indices", shape, dtype="int32")
    if table.target.casts_to_uint8:
        outputs = outputs if isinstance(outputs, OpenArray) else np.roll(outputs, INT8_LOW)
        unsigned = sink.tensor(f"{name}/unsigned", shape, dtype="uint8")
        _cast(table, source, unsigned, "int8", "uint8")
        _cast(table, unsigned, indices, "uint8", "int32")
    else:
        signed = sink.tensor(f"{name}/signed", shape, dtype="int32")
        _cast(table, source, signed, "int8", "int32")
        shift = sink.constant(f"{name}/shift", np.array([-INT8_LOW], np.int32))
        sink.operator("ADD", [signed, shift], [indices], version=1, options=Options("AddOptions", UNFUSED))
    grid = table.grid(operation.output)
    quantization = Quantization(scales_of(grid), grid.zero_point)
    inputs = [sink.constant(f"{name}/table", outputs, quantization=quantization), indices]
    options = Options("GatherOptions", {"axis": 0})
    sink.operator("GATHER", inputs, [table.index(operation.output)], version=2, options=options)


def _cast(table: TensorTable, source: int, target: int, *types: str) -> None:
    options = Options("CastOptions", dict(zip(("in_data_type", "out_data_type"), types, strict=True)))
    table.sink.operator("CAST", [source], [target], version=1, options=options)


def _erf(x: np.ndarray) -> np.ndarray:
    from scipy import special  # takes 0.2 seconds, which most programs do not need to spend

    return special.erf(x)


def _sparse_plus(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 1, (x + 1) ** 2 / 4, np.maximum(x, 0))


def _general_relu(x: np.ndarray, negative_slope: float, max_value: float | None, threshold: float) -> np.ndarray:
    above = np.minimum(x, np.inf if max_value is None else max_value)
    return np.where(x >= threshold, above, negative_slope * (x - threshold))


def _threshold(x: np.ndarray, threshold: float, default_value: float) -> np.ndarray:
    return np.where(x > threshold, x, default_value)


def _with(**defaults: Any) -> Callable[[Mapping[str, Any], Call | None], Attributes]:
    """Returns a reader of arguments; those that the configuration does not have get their defaults."""
    return lambda config, call: {name: config.get(name, value) for name, value in defaults.items()}


def _relu_arguments(config: Mapping[str, Any], call: Call | None) -> Attributes:
    names = ("negative_slope", "threshold")
    return {"max_value": config.get("max_value"), **{name: float(config.get(name) or 0.0) for name in names}}


def _exponent(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    exponent = exponent_of(call)
    return {"exponent": exponent} if exponent is not None and exponent >= 0 else None


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# Functions without arguments: (kind, function, class of Keras's operation or "", functions of TensorFlow, options).
_PLAIN: tuple[tuple[str, Callable[[np.ndarray], np.ndarray], str, tuple[str, ...], dict[str, Any]], ...] = (
    (
        "selu",
        lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0))),
        "Selu",
        ("nn.selu",),
        {"functions": {"selu": {}}},
    ),
    (
        "softplus",
        lambda x: np.logaddexp(0, x),
        "Softplus",
        ("math.softplus", "nn.softplus"),
        {"functions": {"softplus": {}}, "non_negative": always},
    ),
    ("softsign", lambda x: x / (1 + np.abs(x)), "Softsign", ("nn.softsign",), {"functions": {"softsign": {}}}),
    ("mish", lambda x: x * np.tanh(np.logaddexp(0, x)), "", (), {"functions": {"mish": {}}}),
    (
        "exponential",
        np.exp,
        "Exp",
        ("math.exp", "exp"),
        {"functions": {"exponential": {}}, "non_negative": always},
    ),
    ("tanh_shrink", lambda x: x - np.tanh(x), "TanhShrink", (), {"functions": {"tanh_shrink": {}}}),
    (
        "log_sigmoid",
        lambda x: -np.logaddexp(0, -x),
        "LogSigmoid",
        ("math.log_sigmoid",),
        {"functions": {"log_sigmoid": {}}},
    ),
    ("sparse_plus", _sparse_plus, "SparsePlus", (), {"functions": {"sparse_plus": {}}, "non_negative": always}),
    ("square_root", np.sqrt, "Sqrt", ("math.sqrt",), {"non_negative": always}),
    ("cube_root", np.cbrt, "Cbrt", (), {}),
    ("exp2", np.exp2, "Exp2", (), {"non_negative": always}),
    ("expm1", np.expm1, "Expm1", ("math.expm1",), {"non_negative": as_inputs}),
    ("log1p", np.log1p, "Log1p", ("math.log1p",), {"non_negative": as_inputs}),
    ("erf", _erf, "Erf", ("math.erf",), {"non_negative": as_inputs}),
    ("sine", np.sin, "Sin", ("math.sin",), {}),
    ("cosine", np.cos, "Cos", ("math.cos",), {}),
    ("arctan", np.arctan, "Arctan", ("math.atan",), {"non_negative": as_inputs}),
    ("floor", np.floor, "Floor", ("math.floor",), {"non_negative": as_inputs}),
    ("ceil", np.ceil, "Ceil", ("math.ceil",), {"non_negative": as_inputs}),
    ("truncate", np.trunc, "Trunc", (), {"non_negative": as_inputs}),
    ("sign", np.sign, "Sign", ("math.sign",), {"non_negative": as_inputs}),
)
OPERATORS = (
    *(
        unary(kind, function, classes=dict.fromkeys(filter(None, (class_name, *names)), given()), **options)
        for kind, function, class_name, names, options in _PLAIN
    ),
    unary(
        "general_relu",
        _general_relu,
        needed=("negative_slope", "max_value", "threshold"),
        classes={"ReLU": _relu_arguments},
    ),
    unary(
        "elu_alpha",
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        needed=("alpha",),
        classes=dict.fromkeys(("ELU", "Elu"), _with(alpha=1.0)),
    ),
    unary(
        "celu",
        lambda x, alpha: np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha),
        needed=("alpha",),
        classes={"Celu": _with(alpha=1.0)},
        functions={"celu": {"alpha": 1.0}},
    ),
    unary(
        "hard_shrink",
        lambda x, threshold: np.where(np.abs(x) > threshold, x, 0.0),
        needed=("threshold",),
        classes={"HardShrink": _with(threshold=0.5)},
        functions={"hard_shrink": {"threshold": 0.5}},
        non_negative=as_inputs,
    ),
    unary(
        "soft_shrink",
        lambda x, threshold: np.sign(x) * np.maximum(np.abs(x) - threshold, 0),
        needed=("threshold",),
        classes={"SoftShrink": _with(threshold=0.5)},
        functions={"soft_shrink": {"threshold": 0.5}},
        non_negative=as_inputs,
    ),
    unary(
        "threshold",
        _threshold,
        needed=("threshold", "default_value"),
        classes={"Threshold": _with(threshold=0.0, default_value=0.0)},
    ),
    unary(
        "squareplus",
        lambda x, b: (x + np.sqrt(x**2 + b)) / 2,
        needed=("b",),
        classes={"Squareplus": _with(b=4)},
        functions={"squareplus": {"b": 4}},
        non_negative=always,
    ),
    unary(
        "power",
        lambda x, exponent: np.power(x, exponent),
        needed=("exponent",),
        classes=dict.fromkeys(("Power", "math.pow"), _exponent),
        forms={"Power": "with a constant exponent that is not negative"},
        non_negative=as_inputs,
    ),
    unary(
        "bounded",
        lambda x, low, high: np.minimum(np.maximum(x, low), high),
        needed=("low", "high"),
        classes=clips(lambda low, high: {"low": low, "high": high}),
        forms={"Clip": "between two numbers"},
        non_negative=lambda layer, inputs: layer.attributes["low"] >= 0 or (inputs and layer.attributes["high"] >= 0),
    ),
)
OPERATIONS = (OperationKind("lookup", write_lookup),)
