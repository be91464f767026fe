"""Plots means with intervals."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfmp.plots.figure import finish, line_style, new_figure

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.figure import Figure


def intervals(
    rows: Mapping[str, tuple[Sequence[float], float | None]],
    *,
    x_label: str,
    title: str | None = None,
    reference: float = 0.0,
) -> "Figure":
    """Plots one row per label: its values as dots, and their mean with an interval.

    Args:
        rows: Label to `(values, half_width)`; `half_width` is that of the mean's interval, or None.
        x_label: Quantity on the axis, with its unit.
        title: Title of the figure.
        reference: Position of a vertical line.

    Raises:
        ValueError: If there is no data.

    Example:
        >>> figure = intervals({"softmax": ([0.6, 0.8], 0.3)}, x_label="ahead of uniform, points")
    """
    if not rows:
        raise ValueError("Expected at least one row. Received none.")
    figure = new_figure(6.4, 1.0 + 0.32 * len(rows))
    axes = figure.add_subplot()
    axes.axvline(reference, color="black", linewidth=1)
    for place, (values, half_width) in enumerate(rows.values()):
        mean = float(np.mean(values))
        if half_width is not None:
            axes.errorbar(mean, place, xerr=half_width, color="0.55", capsize=4, linewidth=3)
        axes.plot(mean, place, color="0.3", marker="|", markersize=14)
        style = {**line_style(0), "linestyle": "none", "markersize": 4}
        axes.plot(values, np.full(len(values), place), **style)
    axes.set_yticks(range(len(rows)), list(rows), fontsize="small")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    finish(axes, x_label=x_label, title=title)
    axes.grid(axis="x", color="0.85", linewidth=0.6)
    return figure
