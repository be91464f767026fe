"""Plots of simulated energy."""

from typing import TYPE_CHECKING

import numpy as np

from tfmp.plots.figure import bar_style, finish, label_categories, new_figure
from tfmp.reports import NetworkReport

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.figure import Figure


def energy_by_layer(report: NetworkReport, *, title: str | None = None) -> "Figure":
    """Plots the energy of each layer as a bar, divided into core, buffers on the chip, and DRAM.

    Layers that are not modelled are left out.

    Args:
        report: What `tfmp.simulate` returns.
        title: Title of the figure; by default the simulated machine and the batch.

    Raises:
        ValueError: If no layer is modelled.

    Example:
        >>> figure = energy_by_layer(tfmp.simulate(fixed, hardware="eyeriss"))  # doctest: +SKIP
    """
    layers = [layer for layer in report.layers if layer.modelled]
    if not layers:
        raise ValueError("Expected a report with at least one modelled layer. Received none.")
    figure = new_figure(min(12, max(5, 0.28 * len(layers))), 3.8)
    axes = figure.add_subplot()
    bottom = np.zeros(len(layers))
    for index, place in enumerate(layers[0].energy_by_place):
        heights = np.array([layer.energy_by_place[place] / 1e6 for layer in layers])
        if heights.any():
            axes.bar(range(len(layers)), heights, 0.8, bottom, label=place, **bar_style(index))
        bottom += heights
    label_categories(axes, [layer.name for layer in layers])
    title = f"simulated on {report.hardware}, batch {report.batch}" if title is None else title
    finish(axes, y_label="energy, mJ", title=title)
    return figure
