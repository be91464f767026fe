"""Figures and line styles that all plots share, and saving them."""

import io
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmp.files.atomic_file import write_atomically

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Okabe and Ito, 2008, "Color Universal Design", dark and light in turn.
_COLORS = ("#0072B2", "#E69F00", "#000000", "#56B4E9", "#D55E00", "#009E73", "#CC79A7", "#999999")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES = ("-", "--", "-.", ":")
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++", "ooo", "---")


def new_figure(width_inches: float, height_inches: float) -> "Figure":
    """Returns an empty `matplotlib.figure.Figure` without a window.

    Raises:
        ImportError: If matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Plots need matplotlib. Install it: pip install 'tfmp[plots]'") from error
    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def line_style(index: int) -> dict[str, Any]:
    """Returns color, marker and dashes of a line, as arguments of `plot`."""
    kind = index % len(_COLORS)
    return {
        "color": _COLORS[kind],
        "marker": _MARKERS[kind],
        "linestyle": _DASHES[index % len(_DASHES)],
        "markersize": 5,
    }


def bar_style(index: int) -> dict[str, Any]:
    """Returns color and hatching of a bar, as arguments of `bar`."""
    kind = index % len(_COLORS)
    return {"facecolor": _COLORS[kind], "hatch": _HATCHES[kind], "edgecolor": "white", "linewidth": 0.5}


def finish(
    axes: "Axes",
    *,
    x_label: str | None = None,
    y_label: str | None = None,
    title: str | None = None,
    legend: bool = True,
) -> None:
    """Labels axes and removes lines that carry no data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set(xlabel=x_label or "", ylabel=y_label or "", title=title or "")
    if legend and axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize="small")


def draw_bars(axes: "Axes", series: Mapping[str, Mapping[str, float]]) -> None:
    """Draws grouped bars.

    Args:
        axes: The axes to draw on.
        series: Label to a mapping of categories to values; a missing category has no bar.
    """
    categories = list(dict.fromkeys(category for values in series.values() for category in values))
    width = 0.8 / len(series)
    for index, (label, values) in enumerate(series.items()):
        places = [place for place, category in enumerate(categories) if category in values]
        heights = [values[categories[place]] for place in places]
        offset = (index - (len(series) - 1) / 2) * width
        axes.bar(np.array(places) + offset, heights, width, label=label, **bar_style(index))
    label_categories(axes, categories)


def label_categories(axes: "Axes", categories: Sequence[str]) -> None:
    """Labels the places 0, 1, ... of the x axis; long labels are rotated."""
    axes.set_xlim(-0.6, len(categories) - 0.4)
    rotated: dict[str, Any] = (
        {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, categories)) > 6 else {}
    )
    axes.set_xticks(range(len(categories)), categories, fontsize="small", **rotated)


_DPI = 110


def save(figure: "Figure", path_without_suffix: str | os.PathLike[str]) -> tuple[pathlib.Path, pathlib.Path]:
    """Writes a figure as PNG and SVG; equal figures give equal files. Existing ones are replaced.

    Args:
        figure: A `matplotlib.figure.Figure`.
        path_without_suffix: `"docs/figures/convergence"` writes `convergence.png` and `convergence.svg` there.

    Returns:
        The two paths.

    Example:
        >>> save(figure, "convergence")  # doctest: +SKIP
    """
    import matplotlib

    stem = os.fspath(path_without_suffix)
    paths = pathlib.Path(f"{stem}.png"), pathlib.Path(f"{stem}.svg")
    # Without dates, versions and random names, which would differ in each file.
    for path, metadata in zip(paths, ({"Software": None}, {"Date": None, "Creator": None}), strict=True):
        written = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "tfmp", "svg.fonttype": "none"}):
            figure.savefig(written, format=path.suffix[1:], dpi=_DPI, metadata=metadata)
        write_atomically(path, written.getvalue(), overwrite=True)
    return paths
