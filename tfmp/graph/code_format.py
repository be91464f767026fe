"""The integer codes that a quantized tensor may hold."""

import dataclasses

from tfmp.checks import check_integer
from tfmp.graph.runtime_limits import CODE_SPAN


@dataclasses.dataclass(frozen=True)
class CodeFormat:
    """The integer codes of a quantized tensor: `x_q = codes * scale` with `low <= codes <= high`.

    Mid-rise levels, which have no zero, are the odd integers times half a step: their codes reach further than their
    bits, and `low`, `high` say how far.

    Args:
        bits: Width of the code, the unit of BitOps and of packed size; 32 for floating point.
        low: Smallest code, or None for floating point.
        high: Largest code, or None for floating point.

    Raises:
        ValueError: If `bits` is not an integer from 1 to 32, or `low` is not below `high`.
    """

    bits: int
    low: int | None = None
    high: int | None = None

    def __post_init__(self) -> None:
        check_integer("bits", self.bits, at_least=1, at_most=32)
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name))
        if self.low is None or self.high is None:
            ordered = self.low is self.high
        else:
            ordered = self.low < self.high
        if not ordered:
            raise ValueError(f"`low` must be below `high`, or both None. Received: {self.low} and {self.high}")

    @property
    def is_float(self) -> bool:
        return self.low is None

    @property
    def code_range(self) -> tuple[int, int]:
        """The smallest and the largest code.

        Raises:
            ValueError: If it is floating point.
        """
        if self.low is None or self.high is None:
            raise ValueError("Floating point has no codes. Expected the format of a quantized tensor.")
        return self.low, self.high

    @property
    def container_bits(self) -> int:
        """Width of the narrowest TFLite type that holds every code: 2, 4 or 8; 32 for floating point.

        Raises:
            ValueError: If the codes span more than 8 bits.
        """
        if self.is_float:
            return 32
        low, high = self.code_range
        for bits in (2, 4, 8):
            if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1):
                return bits
        if high - low <= CODE_SPAN:  # a zero point moves an unsigned range into INT8
            return 8
        raise ValueError(
            f"Codes from {low} to {high} do not fit 8 bits: mid-rise levels double the codes. "
            "Use at most 7 bits with this quantizer, or another quantizer."
        )


FLOAT = CodeFormat(bits=32)
