"""Candidate precisions of one tensor."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph.code_format import FLOAT, CodeFormat


def _arrays() -> Any:
    # Not compared: arrays have no single truth value, and candidates are alike whatever was learned.
    return dataclasses.field(default_factory=dict, compare=False)


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The candidates among which one tensor's precision is chosen; a fixed tensor has one.

    Args:
        formats: Candidate formats, in increasing bits.
        probabilities: One per candidate, summing to 1.
        quantizer: Name of the quantizer family.
        signed: False if the tensor cannot be negative.
        range_of_tensor: True if its range follows from the tensor alone, as `tfmp.quantizers.Quantizer` says.
        states: What the quantizers learned or observed, arrays by name (`step`, `minimum`, `seen`, ...): one mapping
            for each candidate, or a single one that they share; empty if not read.
        choice: What the choice among several candidates has learned: `logits`, `temperature`, ...; empty if not read.
            If kernel and input are coupled, the kernel has it.
        kernels: The kernels of all candidates but the widest by their bits, where each has its own; the widest has that
            of the layer.
    """

    formats: tuple[CodeFormat, ...]
    probabilities: tuple[float, ...] = (1.0,)
    quantizer: str = ""
    signed: bool = True
    range_of_tensor: bool = False
    states: tuple[Mapping[str, np.ndarray], ...] = dataclasses.field(default=(), compare=False)
    choice: Mapping[str, np.ndarray] = _arrays()
    kernels: Mapping[int, np.ndarray] = _arrays()

    @classmethod
    def of(cls, quantizers: Sequence[Any], probabilities: Sequence[float] = (), **arrays: Any) -> "Candidates":
        """Returns the candidates that some quantizers are.

        Args:
            quantizers: `tfmp.quantizers.Quantizer`s of one family, in increasing bits.
            probabilities: One per candidate; equal ones if there are none.
            **arrays: `states`, `choice` and `kernels`.
        """
        first = quantizers[0]
        return cls(
            tuple(quantizer.format for quantizer in quantizers),
            tuple(probabilities) or (1 / len(quantizers),) * len(quantizers),
            first.full_name,
            first.signed,
            first.range_of_tensor,
            **arrays,
        )

    @property
    def bits(self) -> tuple[int, ...]:
        return tuple(format.bits for format in self.formats)

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        """The state that all candidates share, or that of the only one; of the widest where each has its own."""
        return self.states[-1] if self.states else {}

    def own_state(self, bits: int) -> Mapping[str, np.ndarray] | None:
        """The state of one candidate where each has its own; None if it is no candidate, or they share one."""
        return self.states[self.bits.index(bits)] if len(self.states) > 1 and bits in self.bits else None

    def without_arrays(self) -> "Candidates":
        """The same candidates, as if no arrays had been read."""
        return dataclasses.replace(self, states=(), choice={}, kernels={})

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays, by names that are unique and fit for messages: `"step"`, `"step of 4 bits"`, `"logits"`."""
        found = dict(self.state)
        if len(self.states) > 1:
            pairs = zip(self.bits, self.states, strict=True)
            found = {f"{name} of {bits} bits": value for bits, state in pairs for name, value in state.items()}
        return {**found, **self.choice, **{f"kernel of {bits} bits": value for bits, value in self.kernels.items()}}


UNQUANTIZED = Candidates((FLOAT,))
