"""Line plots, bars, intervals and Pareto fronts."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmp.plots.figure import draw_bars, finish, line_style, new_figure
from tfmp.reports import ParetoFront

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


def pareto_front(
    front: ParetoFront,
    *,
    group: str | None = None,
    x_label: str | None = None,
    y_label: str | None = None,
    title: str | None = None,
) -> "Figure":
    """Plots all points of a front, and a staircase through the Pareto front of each group.

    Args:
        front: A `tfmp.reports.ParetoFront`.
        group: Name of a value of the points, `"strategy"` for example; each of its values is a group.
        x_label: What `x` is, with its unit; the name of the quantity by default.
        y_label: What `y` is.
        title: Text above.

    Raises:
        ValueError: If there are no points, or one has no value for the group.

    Example:
        >>> figure = pareto_front(tuner.pareto(), group="strategy")  # doctest: +SKIP
    """
    if not front.points:
        raise ValueError("Expected a front with at least one point. Received none.")
    lacking = [point for point in front.points if group is not None and group not in point]
    if lacking:
        raise ValueError(f"Expected `{group}` in every point. Received one with {', '.join(map(str, lacking[0]))}")
    groups = {"": front}
    if group is not None:
        names = dict.fromkeys(point[group] for point in front.points)
        groups = {str(name): front.where(**{group: name}) for name in names}
    figure = new_figure(5.6, 3.8)
    axes = figure.add_subplot()
    for index, (label, part) in enumerate(groups.items()):
        style = line_style(index)
        color, marker = style["color"], style["marker"]
        best = part.front
        others = [point for point in part.points if all(point is not each for each in best)]
        xs, ys = _columns(front, others)
        axes.scatter(xs, ys, s=16, marker=marker, facecolor="none", edgecolor=color, linewidth=0.8)
        # Between two points, the front is as good as the cheaper one.
        step = "steps-post" if front.x_direction == "min" else "steps-pre"
        ordered = sorted(best, key=lambda point: point[front.x])
        axes.plot(*_columns(front, ordered), drawstyle=step, label=label or None, **style)
    finish(axes, x_label=x_label or front.x, y_label=y_label or front.y, title=title)
    return figure


def _columns(front, points):
    return [point[front.x] for point in points], [point[front.y] for point in points]
