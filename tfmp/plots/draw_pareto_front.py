"""Plots a Pareto front."""

from typing import TYPE_CHECKING

from tfmp.plots.figure import finish, line_style, new_figure
from tfmp.reports import ParetoFront

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.figure import Figure


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
