"""Tables as text."""

import os
from collections.abc import Sequence

from tfmp.files.atomic_file import write_atomically


def aligned(rows: Sequence[Sequence[str]], num_left: int = 1) -> list[str]:
    """Returns one line per row, with the cells of each column below each other.

    Args:
        rows: Rows of equally many cells.
        num_left: Number of columns, from the first, that are aligned to the left; the others are to the right.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < num_left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def amount(value: float) -> str:
    """Returns a number with separators of thousands, and without an exponent from 1,000 on."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def returned_and_written(text: str, path: str | os.PathLike[str] | None, overwrite: bool) -> str:
    """Returns a text, and writes it to `path` if given; see `write_atomically` for errors."""
    if path is not None:
        write_atomically(path, text, overwrite=overwrite)
    return text
