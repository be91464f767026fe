"""Plots of searches and results; needs the extra `plots` (matplotlib).

Each function returns a `matplotlib.figure.Figure`; `save` writes it.
"""

from tfmp.plots.charts import bars, curves, intervals, pareto_front
from tfmp.plots.energy_plots import energy_by_layer
from tfmp.plots.figure import save
from tfmp.plots.forecast_plot import forecast
from tfmp.plots.search_plots import bit_allocation, network_blocks, probability_evolution

__all__ = [
    "bars",
    "bit_allocation",
    "curves",
    "energy_by_layer",
    "forecast",
    "intervals",
    "network_blocks",
    "pareto_front",
    "probability_evolution",
    "save",
]
