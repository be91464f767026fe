"""Grouped bars."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfmp.plots.figure import draw_bars, finish, new_figure

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.figure import Figure


def bars(
    series: Mapping[str, Mapping[str, float]],
    *,
    y_label: str,
    x_label: str | None = None,
    title: str | None = None,
    reference: tuple[float, str] | None = None,
    y_limits: tuple[float, float] | None = None,
) -> "Figure":
    """Plots grouped bars.

    Args:
        series: Label to a mapping of categories to values.
        y_label: Quantity on the y axis, with its unit.
        x_label: Name of the categories.
        title: Title of the figure.
        reference: `(value, label)` of a horizontal line, or None.
        y_limits: `(lowest, highest)` if the axis does not begin at zero.

    Raises:
        ValueError: If there is no data.

    Example:
        >>> figure = bars({"W2A2": {"conv1": 71.0, "conv2": 72.5}}, y_label="accuracy, %")
    """
    if not any(series.values()):
        raise ValueError(f"Expected at least one series with one category. Received: {series!r}")
    count = len({category for values in series.values() for category in values}) * (len(series) + 1)
    figure = new_figure(min(12, max(5, 0.22 * count)), 3.6)
    axes = figure.add_subplot()
    draw_bars(axes, series)
    if reference is not None:
        axes.axhline(reference[0], color="black", linestyle="--", linewidth=1, label=reference[1])
    if y_limits is not None:
        axes.set_ylim(*y_limits)
    finish(axes, x_label=x_label, y_label=y_label, title=title)
    return figure
