"""Plots the bits of each layer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfmp.graph import BitAssignment
from tfmp.plots.figure import draw_bars, finish, new_figure

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.figure import Figure


def bit_allocation(
    assignments: Mapping[str, BitAssignment | Mapping[str, tuple[int, int]]],
    *,
    title: str | None = None,
    uniform_bits: tuple[int, int] | None = None,
) -> "Figure":
    """Plots the bits of the weights (top) and of the inputs (bottom) of every layer (EdMIPS, fig. 6).

    Args:
        assignments: Label to a `tfmp.BitAssignment`, or to a mapping of layer names to pairs of bits.
        title: Title of the figure.
        uniform_bits: `(weight_bits, activation_bits)` of a uniform network at the same cost, drawn as lines.

    Raises:
        ValueError: If there is no data.

    Example:
        >>> figure = bit_allocation({"seed 0": {"conv1": (4, 2), "conv2": (2, 3)}})
    """
    if not any(len(bits) for bits in assignments.values()):
        raise ValueError(f"Expected an assignment with at least one layer. Received: {assignments!r}")
    layers = max(len(bits) for bits in assignments.values())
    figure = new_figure(min(14, max(5, 0.3 * layers + 0.12 * layers * len(assignments))), 4.6)
    above, below = figure.subplots(2, 1, sharex=True)
    for index, (axes, tensor) in enumerate(((above, "weights"), (below, "inputs"))):
        draw_bars(axes, {label: {name: bits[name][index] for name in bits} for label, bits in assignments.items()})
        if uniform_bits is not None:
            label = f"uniform W{uniform_bits[0]}A{uniform_bits[1]}"
            axes.axhline(uniform_bits[index], color="black", linestyle="--", linewidth=1, label=label)
        axes.yaxis.get_major_locator().set_params(integer=True)
        finish(axes, y_label=f"{tensor}, bits", title=title if index == 0 else None, legend=index == 0)
    below.set_xlabel("layer")
    return figure
