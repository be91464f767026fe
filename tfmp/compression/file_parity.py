"""Agreement of a file with its models, as a report shows it."""

import math

from tfmp.reports import Parity, TFLiteReport


def file_parity(report: TFLiteReport) -> tuple[Parity, ...]:
    """Returns the agreement with each model that the file was compared with."""
    rows = []
    for name in ("folded", "trained", "reference"):
        agreement = getattr(report, name)
        if agreement is not None:
            decibels = agreement.signal_to_noise_db
            rows.append(
                Parity(
                    name,
                    agreement.equal_share,
                    agreement.top1_agreement,
                    None if math.isinf(decibels) else decibels,
                    agreement.largest_difference,
                    agreement.num_samples,
                )
            )
    return tuple(rows)
