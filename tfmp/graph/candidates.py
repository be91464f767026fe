"""Code formats of quantized tensors, and the candidate precisions of a tensor."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.checks import check_integer
from tfmp.graph.runtime_limits import CODE_SPAN


@dataclasses.dataclass(frozen=True)
class CodeFormat:
    """The integer codes of a quantized tensor: `x_q = codes * scale` with `low <= codes <= high`.

    Mid-rise levels, which have no zero, are odd multiples of half a step. Their codes need a larger range than their
    bits; `low` and `high` give it.

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
            ValueError: If the format is floating point.
        """
        if self.low is None or self.high is None:
            raise ValueError("Floating point has no codes. Expected the format of a quantized tensor.")
        return self.low, self.high

    @property
    def container_bits(self) -> int:
        """Bits of the narrowest TFLite type that holds every code: 2, 4 or 8; 32 for floating point.

        Raises:
            ValueError: If the codes span more than 8 bits.
        """
        if self.is_float:
            return 32
        low, high = self.code_range
        for bits in (2, 4, 8):
            if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1):
                return bits
        if high - low <= CODE_SPAN:  # a zero point shifts an unsigned range into INT8
            return 8
        raise ValueError(
            f"Codes from {low} to {high} do not fit 8 bits: mid-rise levels double the codes. "
            "Use at most 7 bits with this quantizer, or another quantizer."
        )


FLOAT = CodeFormat(bits=32)


def _arrays() -> Any:
    # Not compared: arrays have no single truth value, and the learned state does not matter for equality.
    return dataclasses.field(default_factory=dict, compare=False)


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The candidate precisions of a tensor; a fixed tensor has one.

    Args:
        formats: Candidate formats, in increasing bits.
        probabilities: One per candidate, summing to 1.
        quantizer: Name of the quantizer family.
        signed: False if the tensor cannot be negative.
        range_of_tensor: True if the range follows from the tensor alone, see `tfmp.quantizers.Quantizer`.
        is_stored: True if the tensor has the grid on which another layer stored it.
        states: Learned or observed state of the quantizers, arrays by name (`step`, `minimum`, `seen`, ...): one
            mapping for each candidate, or a single one that they share; empty if not read.
        choice: State of the choice among several candidates: `logits`, `temperature`, ...; empty if not read. If kernel
            and input are coupled, it belongs to the kernel.
        kernels: Separate kernels by bits, of all candidates except the widest, which uses the layer's kernel; empty if
            they share one.
    """

    formats: tuple[CodeFormat, ...]
    probabilities: tuple[float, ...] = (1.0,)
    quantizer: str = ""
    signed: bool = True
    range_of_tensor: bool = False
    is_stored: bool = False
    states: tuple[Mapping[str, np.ndarray], ...] = dataclasses.field(default=(), compare=False)
    choice: Mapping[str, np.ndarray] = _arrays()
    kernels: Mapping[int, np.ndarray] = _arrays()

    @classmethod
    def of(cls, quantizers: Sequence[Any], probabilities: Sequence[float] = (), **arrays: Any) -> "Candidates":
        """Returns the candidates for a list of quantizers.

        Args:
            quantizers: `tfmp.quantizers.Quantizer`s of one family, in increasing bits.
            probabilities: One per candidate; equal if empty.
            **arrays: `states`, `choice` and `kernels`.
        """
        first = quantizers[0]
        return cls(
            tuple(quantizer.format for quantizer in quantizers),
            tuple(probabilities) or (1 / len(quantizers),) * len(quantizers),
            first.full_name,
            first.signed,
            first.range_of_tensor,
            first.is_stored,
            **arrays,
        )

    @property
    def bits(self) -> tuple[int, ...]:
        return tuple(format.bits for format in self.formats)

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        """The state that all candidates share, or that of the widest candidate."""
        return self.states[-1] if self.states else {}

    def own_state(self, bits: int) -> Mapping[str, np.ndarray] | None:
        """Returns the separate state of a candidate; None if the candidates share one, or have no such bits."""
        return self.states[self.bits.index(bits)] if len(self.states) > 1 and bits in self.bits else None

    def without_arrays(self) -> "Candidates":
        """Returns the candidates without arrays."""
        return dataclasses.replace(self, states=(), choice={}, kernels={})

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all arrays by unique, readable names: `"step"`, `"step of 4 bits"`, `"logits"`."""
        states = dict(self.state)
        if len(self.states) > 1:
            pairs = zip(self.bits, self.states, strict=True)
            states = {f"{name} of {bits} bits": value for bits, state in pairs for name, value in state.items()}
        return {**states, **self.choice, **{f"kernel of {bits} bits": value for bits, value in self.kernels.items()}}


UNQUANTIZED = Candidates((FLOAT,))
