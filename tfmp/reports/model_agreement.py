"""Agreement of a file's outputs with a model's."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class OutputAgreement:
    """Agreement of one output of a file with that of a model, on the same samples.

    Args:
        name: Name of the output.
        signal_to_noise_db: `10 * log10(sum(y**2) / sum((file - y)**2))` in decibels, with y the model's output;
            infinite if nothing differs.
        largest_difference: Largest difference of two numbers, in standard deviations of the model's output.
        equal_share: Share of numbers that are equal, 0 to 1; with a model in floating point, that differ by at most
            1e-5 of the largest in their row.
        top1_agreement: Share of equal decisions, 0 to 1; None if the output does not predict classes.
        decision: What the decisions are: `"largest of 10"` numbers, or `"side of 0.5"`; empty if there are none.
        num_decisions: Number of decisions; 0 if there are none.
    """

    name: str
    signal_to_noise_db: float
    largest_difference: float
    equal_share: float
    top1_agreement: float | None = None
    decision: str = ""
    num_decisions: int = 0

    @property
    def in_words(self) -> str:
        """Returns the figures: `"38.2 dB, at most 0.12 deviations apart, same class (largest of 10) in 99.22%"`."""
        if not self.largest_difference:
            words = "equal"
        else:
            words = f"{self.signal_to_noise_db:.1f} dB, at most {self.largest_difference:.3g} deviations apart"
        if self.top1_agreement is None:
            return words
        return f"{words}, same class ({self.decision}) in {self.top1_agreement:.2%}"


@dataclasses.dataclass(frozen=True)
class ModelAgreement:
    """Agreement of all outputs of a file with those of one model; its figures are those of the worst output.

    Args:
        outputs: One or more, in the order of the model's outputs.
        num_samples: Number of samples.
    """

    outputs: Sequence[OutputAgreement]
    num_samples: int

    @property
    def signal_to_noise_db(self) -> float:
        """The smallest, in decibels."""
        return min(output.signal_to_noise_db for output in self.outputs)

    @property
    def largest_difference(self) -> float:
        """The largest, in units of the output's standard deviation."""
        return max(output.largest_difference for output in self.outputs)

    @property
    def equal_share(self) -> float:
        """The smallest, 0 to 1."""
        return min(output.equal_share for output in self.outputs)

    @property
    def top1_agreement(self) -> float | None:
        """The smallest, 0 to 1; None if no output predicts classes."""
        return min((each.top1_agreement for each in self.outputs if each.top1_agreement is not None), default=None)

    @property
    def in_words(self) -> str:
        """Returns one line: each output, by name if there are several."""
        if len(self.outputs) == 1:
            return self.outputs[0].in_words
        return "; ".join(f"{output.name}: {output.in_words}" for output in self.outputs)

    def as_dict(self) -> dict[str, Any]:
        """Returns numbers for JSON, with None for infinity."""
        names = ("signal_to_noise_db", "largest_difference", "equal_share", "top1_agreement")
        figures = {name: getattr(self, name) for name in names}
        outputs = [{key: _finite(value) for key, value in dataclasses.asdict(each).items()} for each in self.outputs]
        return {**{k: _finite(v) for k, v in figures.items()}, "num_samples": self.num_samples, "outputs": outputs}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and math.isinf(value) else value
