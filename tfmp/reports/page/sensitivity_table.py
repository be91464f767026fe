"""Sensitivities as a table whose cells are shaded."""

import math

from tfmp.reports.page.tables import Cell, Table, cell
from tfmp.reports.run_parts import Scores

_DECADES = 4  # below the largest score, from the darkest to the lightest shade


def sensitivity_table(scores: Scores, tensor: str) -> Table | None:
    """Returns a row for each layer and a column for each number of bits.

    Args:
        scores: The sensitivities.
        tensor: `"weights"` or `"activations"`.

    Returns:
        The table, or None if no such tensor has a choice.
    """
    bits = sorted({each for tensors in scores.values() for each in tensors[tensor] if len(tensors[tensor]) > 1})
    if not bits:
        return None
    largest = max(score for tensors in scores.values() for score in tensors[tensor].values())
    rows = [
        [cell(layer), *(_shaded(tensors[tensor].get(each), largest) for each in bits)]
        for layer, tensors in scores.items()
        if len(tensors[tensor]) > 1
    ]
    letter = tensor[0].upper()
    return Table(f"Sensitivities of {tensor}", ("layer", *(f"{letter}{each}" for each in bits)), rows)


def _shaded(score: float | None, largest: float) -> Cell:
    if score is None:
        return Cell("")
    decades = math.log10(score / largest) if score > 0 and largest > 0 else -math.inf
    return cell(float(score), ".2g", shade=max(0.0, 1 + decades / _DECADES))
