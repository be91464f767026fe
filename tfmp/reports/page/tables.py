"""Tables of a page."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from tfmp.reports.text_table import amount


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Args:
        text: What it shows.
        value: The number that it shows, unrounded, for sorting and for programs; None for a text.
        shade: Strength of its color, 0 to 1; None for none.
        href: What it links to, a fragment of the page; empty for no link.
    """

    text: str
    value: float | None = None
    shade: float | None = None
    href: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; its first column names the rows.

    Args:
        caption: What it shows.
        columns: Titles, with units.
        rows: A `Cell` for each column.
        is_open: False to show it only on demand, because a picture shows the same.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    is_open: bool = True

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column has numbers."""
        return tuple(any(row[place].value is not None for row in self.rows) for place in range(len(self.columns)))


def cell(value: Any, form: str = "", *, shade: float | None = None) -> Cell:
    """Returns the cell of a text, of a number with a format, or of None, which stays empty."""
    if value is None:
        return Cell("")
    if isinstance(value, str):
        return Cell(value)
    return Cell(format(value, form), float(value) if isinstance(value, float) else value, shade)


def amount_cell(value: float) -> Cell:
    """Returns the cell of a number of bytes, operations or anything else that may be large."""
    return Cell(amount(value), float(value))


def percent(share: float | None) -> Cell:
    """Returns the cell of a share from 0 to 1; what is below 1 never reads 100 %."""
    if share is None:
        return Cell("")
    text = f"{100 * share:.2f} %"
    return Cell("< 100 %" if share < 1 and text == "100.00 %" else text, float(share))
