"""Line plots: accuracy against cost, convergence."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmp.plots.figure import finish, line_style, new_figure

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.figure import Figure


def curves(
    series: Mapping[str, Sequence[Any]],
    *,
    x_label: str,
    y_label: str,
    title: str | None = None,
    references: Mapping[str, float] | None = None,
) -> "Figure":
    """Plots one line per series.

    Args:
        series: Label to `(x, y)` or `(x, y, half_widths)`, with the half widths of intervals around `y`.
        x_label: Quantity on the x axis, with its unit.
        y_label: Quantity on the y axis, with its unit.
        title: Title of the figure.
        references: Label to the value of a horizontal line.

    Raises:
        ValueError: If there is no data, or `x` and `y` of a series have different lengths.

    Example:
        >>> figure = curves({"uniform": ([2, 3], [72.0, 73.1])}, x_label="bits", y_label="accuracy, %")
    """
    if not series:
        raise ValueError("Expected at least one series. Received none.")
    figure = new_figure(5.6, 3.8)
    axes = figure.add_subplot()
    for index, (label, (x, y, *half_widths)) in enumerate(series.items()):
        if len(x) != len(y):
            raise ValueError(f"Series `{label}`: expected as many y as x. Received: {len(y)} and {len(x)}")
        order = np.argsort(x)
        x, y = np.asarray(x, float)[order], np.asarray(y, float)[order]
        error = np.asarray(half_widths[0], float)[order] if half_widths else None
        axes.errorbar(x, y, error, label=label, capsize=2, **line_style(index))
    for label, value in (references or {}).items():
        axes.axhline(value, color="0.4", linestyle=(0, (1, 3)), linewidth=1.2, label=label)
    finish(axes, x_label=x_label, y_label=y_label, title=title)
    return figure
