"""Plots of what a search does and finds: probabilities, bits, blocks."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tfmp.graph import BitAssignment
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.plots.figure import draw_bars, finish, line_style, new_figure

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


# Okabe and Ito, 2008, "Color Universal Design", light ones; the text on them says the same as the color.
_COLORS = {3: "#FFFFFF", 5: "#56B4E9", 7: "#E69F00"}
_OTHER = "#009E73"
_ROW, _WIDEST = 0.62, 6


def network_blocks(networks: Mapping[str, DiscreteNetwork], *, title: str | None = None) -> "Figure":
    """Plots the blocks of networks side by side (Gong et al., fig. 3): input at the top, output at the bottom.

    A box is a block: its width grows with the expansion, its color is that of the kernel, its text is
    `MB expansion kernel [pointwise bits, depthwise bits]`. Skipped blocks are dashed lines; each stage begins with its
    channels and size.

    Args:
        networks: Label to `tfmp.joint.DiscreteNetwork`.
        title: Text above.

    Raises:
        ValueError: If there is no network.

    Example:
        >>> figure = network_blocks({"target 1.5 mJ": network})
    """
    if not networks:
        raise ValueError("Expected at least one network. Received none.")
    rows = max(len(network.choices) for network in networks.values()) + 3
    figure = new_figure(3.1 * len(networks) + 0.6, 0.42 * rows + 0.8)
    if title:
        figure.suptitle(title)
    all_axes = figure.subplots(1, len(networks), squeeze=False)[0]
    all_axes[0].set_ylabel("from the logits up to the image")
    for axes, (label, network) in zip(all_axes, networks.items(), strict=True):
        _draw(axes, network)
        axes.set_title(label, fontsize="medium")
        axes.set(xlim=(-1.55, 1.1), ylim=(-rows + 0.4, 0.6), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    return figure


def _draw(axes, network):
    space = network.space
    lines = [(f"conv 3x3, {space.stem[0]} [8, 8]", None, None)]
    lines += [(str(choice), place, choice) for place, choice in zip(space.blocks, network.choices, strict=True)]
    lines += [
        (f"conv 1x1, {space.last_channels} [8, 8]", None, None),
        (f"mean, {space.num_classes} [8, 8]", None, None),
    ]
    axes.plot([0, 0], [0, 1 - len(lines)], color="0.6", linewidth=1, zorder=0)
    for row, (text, place, choice) in enumerate(lines):
        if place is not None and place.name.endswith("_block1"):
            stage = f"{place.out_channels} x {place.output_size}²"
            axes.text(-1.5, -row, stage, fontsize="x-small", color="0.35", va="center")
        if choice is not None and choice.skip:
            axes.plot([-0.25, 0.25], [-row, -row], color="0.5", linestyle="--", linewidth=1)
            continue
        width = 2.0 if choice is None else 1.2 + 0.8 * min(choice.expansion, _WIDEST) / _WIDEST
        color = "0.9" if choice is None else _COLORS.get(choice.kernel_size, _OTHER)
        axes.barh(-row, width, _ROW, left=-width / 2, color=color, edgecolor="black", linewidth=0.8)
        axes.text(0, -row, text, fontsize="x-small", ha="center", va="center")
