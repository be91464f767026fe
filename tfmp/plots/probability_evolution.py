"""Plots the probabilities of candidates over a search."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tfmp.plots.figure import finish, line_style, new_figure

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.figure import Figure

_COLUMNS = 8


def probability_evolution(
    probabilities: Mapping[str, tuple[ArrayLike, ArrayLike]],
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    *,
    title: str | None = None,
) -> "Figure":
    """Plots the probability of each candidate over the epochs, in one panel per tensor (EdMIPS, fig. 4).

    Args:
        probabilities: Layer name to a pair of arrays, `[epochs, candidates]` of the weights and of the input.
        weight_bits: Candidates of the weights.
        activation_bits: Candidates of the inputs.
        title: Text above.

    Raises:
        ValueError: If there is no data, or the number of candidates does not match the arrays.

    Example:
        >>> figure = probability_evolution({"conv1": ([[0.5, 0.5], [0.1, 0.9]], [[1.0], [1.0]])}, (2, 4), (2,))
    """
    if not probabilities:
        raise ValueError("Expected the probabilities of at least one layer. Received none.")
    candidates = (tuple(weight_bits), tuple(activation_bits))
    every_bit = sorted({bits for tensor_candidates in candidates for bits in tensor_candidates})
    columns = min(_COLUMNS, len(probabilities))
    blocks = -(-len(probabilities) // columns)
    figure = new_figure(1.55 * columns + 1.2, 2.7 * blocks + 0.5)
    panels = figure.subplots(2 * blocks, columns, sharex=True, sharey=True, squeeze=False)
    for place in range(blocks * columns, len(probabilities), -1):
        for row in (0, 1):
            panels[2 * ((place - 1) // columns) + row, (place - 1) % columns].set_axis_off()
    for place, (layer, pair) in enumerate(probabilities.items()):
        for row, (tensor, bits, values) in enumerate(zip(("weights", "inputs"), candidates, pair, strict=True)):
            values = np.asarray(values, float)
            if values.ndim != 2 or values.shape[1] != len(bits):
                raise ValueError(
                    f"Layer `{layer}`: expected [epochs, {len(bits)}] probabilities of the {tensor}. "
                    f"Received: {values.shape}"
                )
            axes = panels[2 * (place // columns) + row, place % columns]
            for index, candidate in enumerate(bits):
                style = {**line_style(every_bit.index(candidate)), "markersize": 3}
                axes.plot(np.arange(len(values)), values[:, index], label=_label(candidate), **style)
            first = place % columns == 0
            finish(axes, y_label=f"probability\n({tensor})" if first else None, legend=False)
            axes.set_ylim(-0.03, 1.03)
            if row == 0:
                axes.set_title(layer, fontsize="small")
            else:
                axes.set_xlabel("epoch", fontsize="small")
    shown: dict[str, Any] = {}
    for axes in panels.flat:
        shown.update(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    labels = [_label(bits) for bits in every_bit]
    figure.legend(handles=[shown[label] for label in labels], labels=labels, loc="outside right center", frameon=False)
    figure.suptitle(title or "")
    return figure


def _label(bits):
    return "1 bit" if bits == 1 else f"{bits} bits"
