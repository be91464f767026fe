"""What is too far from its model to be written."""

from tfmp.types import TFLiteReport

LARGEST_DIFFERENCE = 1
SMALLEST_EQUAL_SHARE = 0.99
SMALLEST_TOP1_AGREEMENT = 0.99


def check_agreement(report: TFLiteReport) -> None:
    """Raises `ValueError` unless a file agrees with its model.

    Every operator must be equal in 99 % of its codes and differ by at most 1, and 99 % of the samples must have the
    same class; the message names the first operator that is further off.
    """
    for operator in report.operators:
        if operator.largest_difference > LARGEST_DIFFERENCE or operator.equal_share < SMALLEST_EQUAL_SHARE:
            raise ValueError(
                f"Operator `{operator.name}` ({operator.kind}) of the file differs from the folded model: "
                f"{operator.equal_share:.2%} of its codes are equal, the largest difference is "
                f"{operator.largest_difference}. Expected at least {SMALLEST_EQUAL_SHARE:.0%} and at most "
                f"{LARGEST_DIFFERENCE}. This runtime rounds otherwise than the one that was tested."
            )
    if report.top1_agreement < SMALLEST_TOP1_AGREEMENT:
        raise ValueError(
            f"The file and the model agree on the class of {report.top1_agreement:.2%} of the samples. Expected at "
            f"least {SMALLEST_TOP1_AGREEMENT:.0%}. No single operator differs beyond its tolerance."
        )
