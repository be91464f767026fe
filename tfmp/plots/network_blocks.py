"""Plots the blocks of a network that a joint search found."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.plots.figure import new_figure

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.figure import Figure

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
