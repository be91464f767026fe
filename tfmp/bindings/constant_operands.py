"""Sums and products with constants, as in `x * 0.5 + 3.0`."""

import numpy as np

from tfmp.graph import TensorRef


def affine_attributes(class_name, call):
    """Returns the kind and the attributes of an operation of a tensor and a constant, or None.

    Args:
        class_name: Name of the operation.
        call: Its call, with one tensor among its arguments.

    Returns:
        `("affine", {"factor": ..., "offset": ...})` for what is `factor * x + offset`, else None.
    """
    operands = _operands(call)
    if class_name == "Negative":
        return "affine", {"factor": -1.0, "offset": 0.0}
    if len(operands) != 2 or class_name not in _MAPS:
        return None
    first = isinstance(operands[0], TensorRef)
    constant = _number(operands[1] if first else operands[0])
    if constant is None:
        return None
    found = _MAPS[class_name](constant, first)
    return found and ("affine", dict(zip(("factor", "offset"), found, strict=True)))


def comparison_attributes(call):
    """Returns the attributes of a comparison: `operand`, what the tensor is compared with if that is a constant.

    Args:
        call: Its call.

    Returns:
        `{}` for two tensors; `{"operand": nested list, "operand_first": bool}` for a tensor and a constant; else None.
    """
    operands = _operands(call)
    constants = [operand for operand in operands if not isinstance(operand, TensorRef)]
    if len(operands) != 2 or len(constants) > 1:
        return None
    if not constants:
        return {}
    values = np.asarray(constants[0])
    if values.dtype.kind not in "fiub":
        return None
    return {"operand": values.tolist(), "operand_first": not isinstance(operands[0], TensorRef)}


def _operands(call):
    return [*call.args, *(call.kwargs[key] for key in ("x1", "x2", "x", "y") if key in call.kwargs)]


def _number(operand):
    """A scalar or one number per channel; None for constants of another shape."""
    try:
        value = np.asarray(operand, np.float64)
    except (TypeError, ValueError):
        return None
    if value.size == 1:
        return float(value.reshape(()))
    return value.reshape(-1) if value.size == value.shape[-1] else None


def _divided(constant, first):
    return (1 / constant, 0.0) if first and np.all(constant) else None


_MAPS = {  # function of (constant, True if the tensor comes first)
    "Add": lambda constant, first: (1.0, constant),
    "Subtract": lambda constant, first: (1.0, -constant) if first else (-1.0, constant),
    "Multiply": lambda constant, first: (constant, 0.0),
    "Divide": _divided,
    "TrueDivide": _divided,
}
