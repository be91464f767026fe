"""Tolerances for the agreement of a file with models."""

import dataclasses

from tfmp.checks import check_integer, check_number


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """Limits that `tfmp.export_tflite(verify=)` checks before it writes a file.

    Signal-to-noise ratios are those of the worst output, top-1 agreements those of the worst output with classes. One
    sample may always differ in its class. None checks nothing.

    Args:
        operator_equal: Share of an operator's codes that equal the folded model's, 0 to 1.
        operator_difference: Largest difference of two codes of an operator.
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
    folded_db: float | None = 15.0
    folded_top1: float | None = 0.99
    trained_db: float | None = 15.0
    trained_top1: float | None = 0.98
    reference_db: float | None = None
    reference_top1: float | None = None

    def __post_init__(self) -> None:
        check_number("operator_equal", self.operator_equal, at_least=0, at_most=1)
        check_integer("operator_difference", self.operator_difference, at_least=0)
        for model in ("folded", "trained", "reference"):
            decibels, share = self.of(model)
            if decibels is not None:
                check_number(f"{model}_db", decibels)
            if share is not None:
                check_number(f"{model}_top1", share, at_least=0, at_most=1)

    def of(self, model: str) -> tuple[float | None, float | None]:
        """Returns the minimum decibels and top-1 agreement for `"folded"`, `"trained"` or `"reference"`."""
        return getattr(self, f"{model}_db"), getattr(self, f"{model}_top1")
