"""Steps of a kernel: one per output channel, or one for the whole kernel."""

from collections.abc import Sequence
from typing import Any

from tfmp.checks import check_choice

GRANULARITIES = ("channel", "tensor")


def check_granularity(granularity: Any, where: str) -> None:
    """Raises `ValueError` if it is not one of `GRANULARITIES`."""
    check_choice("granularity", granularity, GRANULARITIES, where=where)


def axes_of_step(rank: int, channel_axes: Sequence[int] | None) -> tuple[int, ...]:
    """Returns the axes of a tensor that one step spans: all of them, or all except those of the channels.

    Args:
        rank: Number of axes of the tensor.
        channel_axes: Negative axes of the output channels; None for one step.
    """
    kept = {axis % rank for axis in channel_axes or ()}
    return tuple(axis for axis in range(rank) if axis not in kept)


def shape_of_step(shape: Sequence[int], channel_axes: Sequence[int] | None) -> tuple[int, ...]:
    """Returns the shape of the steps of a kernel, which broadcasts to that of the kernel; `()` for one step."""
    if channel_axes is None:
        return ()
    spanned = axes_of_step(len(shape), channel_axes)
    return tuple(1 if axis in spanned else size for axis, size in enumerate(shape))
