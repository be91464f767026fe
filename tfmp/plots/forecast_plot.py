"""Plots of forecasts."""

from typing import TYPE_CHECKING

from tfmp.plots.figure import finish, line_style, new_figure
from tfmp.reports import Forecast

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.figure import Figure

_LINES = {"uniform": "uniform", "depthwise_8": "depthwise_8", "mixed": "mixed, exact"}


def forecast(forecast: Forecast, *, title: str | None = None) -> "Figure":
    """Plots predicted harm against cost: uniform bits, `depthwise_8` and the best assignment.

    The harm has a logarithmic axis, on which a bit more in every tensor is the same distance everywhere. Zero is left
    out.

    Args:
        forecast: A `tfmp.reports.Forecast` of budgets of one cost.
        title: Title of the figure.

    Raises:
        ValueError: If there is no budget, or budgets have different costs.

    Example:
        >>> figure = forecast(sensitivity.forecast(cost="model_size"))  # doctest: +SKIP
    """
    costs = list(dict.fromkeys((row.cost, row.unit) for row in forecast.rows))
    if len(costs) != 1:
        names = ", ".join(name for name, _ in costs) or "none"
        raise ValueError(f"Expected a forecast of budgets of one cost. Received: {names}. Plot each cost for itself.")
    rows = sorted(forecast.rows, key=lambda row: row.limit)
    figure = new_figure(5.6, 3.8)
    axes = figure.add_subplot()
    for index, (name, label) in enumerate(_LINES.items()):
        points = [(row.limit, getattr(row, name)) for row in rows if getattr(row, name)]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, **line_style(index))
    axes.set_yscale("log")
    x_label = f"{costs[0][0]} of the searched layers, {costs[0][1]}"
    finish(axes, x_label=x_label, y_label=f"predicted harm ({forecast.error})", title=title)
    return figure
