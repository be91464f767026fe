"""Plots of searches and results; needs the extra `plots` (matplotlib).

Each function returns a `matplotlib.figure.Figure`; `save` writes it.
"""

from tfmp.plots.bars import bars
from tfmp.plots.bit_allocation import bit_allocation
from tfmp.plots.curves import curves
from tfmp.plots.draw_pareto_front import pareto_front
from tfmp.plots.intervals import intervals
from tfmp.plots.network_blocks import network_blocks
from tfmp.plots.probability_evolution import probability_evolution
from tfmp.plots.save import save

__all__ = [
    "bars",
    "bit_allocation",
    "curves",
    "intervals",
    "network_blocks",
    "pareto_front",
    "probability_evolution",
    "save",
]
