"""Quantizers map tensors to low-bit integers."""

from tfmp.checks import check_choice
from tfmp.quantizers.dual_precision import DualPrecision
from tfmp.quantizers.hwgq import HWGQ
from tfmp.quantizers.linear import Linear
from tfmp.quantizers.lsq import LSQ
from tfmp.quantizers.moving_range import MovingRange
from tfmp.quantizers.quantizer import MAX_BITS, Quantizer

_REGISTRY = {quantizer.name: quantizer for quantizer in (LSQ, HWGQ, DualPrecision, Linear, MovingRange)}

__all__ = ["HWGQ", "LSQ", "MAX_BITS", "DualPrecision", "Linear", "MovingRange", "Quantizer", "get", "names"]


def names() -> tuple[str, ...]:
    """Names that `get` knows."""
    return tuple(_REGISTRY)


def get(name: str, *, bits: int, signed: bool = True) -> Quantizer:
    """Returns the quantizer of a name.

    Args:
        name: One of `names()`.
        bits: Integer within the quantizer's range.
        signed: False for tensors that cannot be negative.

    Raises:
        ValueError: If the name is unknown or the bits are out of range.
    """
    return _REGISTRY[check_choice("quantizer", name, _REGISTRY)](bits=bits, signed=signed)
