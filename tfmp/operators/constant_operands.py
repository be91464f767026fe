"""Sums and products with constants, as in `x * 0.5 + 3.0`."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfmp.graph import Call, TensorRef
from tfmp.operators.operator import Attributes, Reader, given


def comparison_attributes(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    """Returns the attributes of a comparison; `operand` is the constant that the tensor is compared with.

    Args:
        config: Its configuration.
        call: Its call, or None.

    Returns:
        `{}` for two tensors; `{"operand": nested list, "operand_first": bool}` for a tensor and a constant; or None.
    """
    if call is None:
        return {}
    operands, constants = _operands(call), _constants(call)
    if len(operands) != 2 or len(constants) > 1:
        return None
    if not constants:
        return {}
    values = np.asarray(constants[0])
    if values.dtype.kind not in "fiub":
        return None
    return {"operand": values.tolist(), "operand_first": not isinstance(operands[0], TensorRef)}


def _clip_bounds(config: Mapping[str, Any], call: Call | None) -> list[Any]:
    if "x_min" in config:
        return [config["x_min"], config["x_max"]]
    return [] if call is None else [*_constants(call), *map(call.kwargs.get, ("clip_value_min", "clip_value_max"))][:2]


def _smallest(config: Mapping[str, Any], call: Call | None) -> list[Any]:
    return [] if call is None else [*_constants(call), math.inf]


def _largest(config: Mapping[str, Any], call: Call | None) -> list[Any]:
    return [] if call is None else [-math.inf, *_constants(call)]


# Operations that clip one tensor to what these functions return of a configuration and a call.
_CLIPS = {
    **dict.fromkeys(("Clip", "clip_by_value"), _clip_bounds),
    **dict.fromkeys(("Maximum", "math.maximum"), _smallest),
    **dict.fromkeys(("Minimum", "math.minimum"), _largest),
}


def clips(attributes: Callable[[float, float], Attributes | None]) -> dict[str, Reader]:
    """Returns the operations that clip a tensor between two numbers, each with the reader of its attributes.

    Args:
        attributes: Function of the smallest and the largest number that returns the attributes, or None.
    """

    def reader(bounds: Callable[..., list[Any]]) -> Reader:
        def read(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
            numbers = [] if call is None or len(call.inputs) != 1 else [_number(each) for each in bounds(config, call)]
            low, high = numbers if len(numbers) == 2 else (None, None)
            if isinstance(low, float) and isinstance(high, float) and low < high:
                return attributes(low, high)
            return None

        return read

    return {name: reader(bounds) for name, bounds in _CLIPS.items()}


def exponent_of(call: Call | None) -> float | None:
    """Returns the number that is the exponent of a power of a tensor; None for other operands."""
    operands = [] if call is None or len(call.inputs) != 1 else _operands(call)
    exponent = _number(operands[1]) if len(operands) == 2 and isinstance(operands[0], TensorRef) else None
    return exponent if isinstance(exponent, float) else None


def _constants(call: Call) -> list[Any]:
    return [operand for operand in _operands(call) if not isinstance(operand, TensorRef)]


def _operands(call: Call) -> list[Any]:
    return [*call.args, *(call.kwargs[key] for key in ("x1", "x2", "x", "y") if key in call.kwargs)]


def _number(operand: Any) -> float | np.ndarray | None:
    """Returns a constant as a scalar or one number per channel; None for another shape."""
    try:
        value = np.asarray(operand, np.float64)
    except (TypeError, ValueError):
        return None
    if value.size == 1:
        return float(value.reshape(()))
    return value.reshape(-1) if value.size == value.shape[-1] else None


def _with_constant(numbers: Callable[[Any, bool], tuple[Any, Any] | None]) -> Reader:
    """Returns a reader of `factor` and `offset`, which `numbers(constant, tensor_is_first)` returns, or None."""

    def read(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
        if call is None or len(call.inputs) != 1:
            return None
        operands = _operands(call)
        if len(operands) != 2:
            return None
        first = isinstance(operands[0], TensorRef)
        constant = _number(operands[1] if first else operands[0])
        numbers_of_map = None if constant is None else numbers(constant, first)
        return None if numbers_of_map is None else dict(zip(("factor", "offset"), numbers_of_map, strict=True))

    return read


_SUM = _with_constant(lambda constant, first: (1.0, constant))
_DIFFERENCE = _with_constant(lambda constant, first: (1.0, -constant) if first else (-1.0, constant))
_PRODUCT = _with_constant(lambda constant, first: (constant, 0.0))
_QUOTIENT = _with_constant(lambda constant, first: (1 / constant, 0.0) if first and np.all(constant) else None)
_NEGATIVE = given(factor=-1.0, offset=0.0)
# Operations on a tensor and a constant, or on one tensor, that compute `factor * x + offset`.
AFFINE_OPERATIONS = {
    "Add": _SUM,
    "Subtract": _DIFFERENCE,
    "Multiply": _PRODUCT,
    "Divide": _QUOTIENT,
    "TrueDivide": _QUOTIENT,
    "Negative": _NEGATIVE,
    "math.add": _SUM,
    "__operators__.add": _SUM,
    "math.subtract": _DIFFERENCE,
    "math.multiply": _PRODUCT,
    "math.divide": _QUOTIENT,
    "math.truediv": _QUOTIENT,
    "math.negative": _NEGATIVE,
}
