"""Saves figures."""

import io
import os
import pathlib
from typing import TYPE_CHECKING

from tfmp.files.atomic_file import write_atomically

if TYPE_CHECKING:  # the first plot loads matplotlib
    from matplotlib.figure import Figure

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
