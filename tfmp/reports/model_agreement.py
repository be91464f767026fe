"""Agreement of a file's outputs with a model's, and its tolerances."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from tfmp.checks import check_integer, check_number

# Numbers in floating point that differ by at most this share of the largest one are equal.
FLOAT_DIFFERENCE = 1e-5


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


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """Limits that `tfmp.export_tflite(verify=)` checks before it writes a file.

    Signal-to-noise ratios are those of the worst output, top-1 agreements those of the worst output with classes. One
    sample may always differ in its class. None checks nothing.

    Args:
        operator_equal: Share of an operator's codes that equal the folded model's, 0 to 1.
        operator_difference: Largest difference of two codes of an operator.
        float_difference: Largest difference of two numbers of a layer in floating point, as a share of its largest.
        folded_db: Signal-to-noise ratio to the folded model, in decibels.
        folded_top1: Top-1 agreement with the folded model, 0 to 1.
        trained_db: Signal-to-noise ratio to the exported model as Keras computes it, in decibels.
        trained_top1: Top-1 agreement with it, 0 to 1.
        reference_db: Signal-to-noise ratio to the `reference`, the float model, in decibels.
        reference_top1: Top-1 agreement with it, 0 to 1.

    Raises:
        ValueError: If a share is outside 0 to 1, or a number is not finite.

    Example:
        >>> tolerance = tfmp.Tolerance(trained_top1=0.95, reference_db=20.0)
    """

    operator_equal: float = 0.99
    operator_difference: int = 1
    float_difference: float = FLOAT_DIFFERENCE
    folded_db: float | None = 15.0
    folded_top1: float | None = 0.99
    trained_db: float | None = 15.0
    trained_top1: float | None = 0.98
    reference_db: float | None = None
    reference_top1: float | None = None

    def __post_init__(self) -> None:
        check_number("operator_equal", self.operator_equal, at_least=0, at_most=1)
        check_integer("operator_difference", self.operator_difference, at_least=0)
        check_number("float_difference", self.float_difference, at_least=0)
        for model in ("folded", "trained", "reference"):
            decibels, share = self.of(model)
            if decibels is not None:
                check_number(f"{model}_db", decibels)
            if share is not None:
                check_number(f"{model}_top1", share, at_least=0, at_most=1)

    def of(self, model: str) -> tuple[float | None, float | None]:
        """Returns the minimum decibels and top-1 agreement for `"folded"`, `"trained"` or `"reference"`."""
        return getattr(self, f"{model}_db"), getattr(self, f"{model}_top1")
