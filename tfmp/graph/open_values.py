"""Grids and constants of networks whose bits or values are not known yet."""

import dataclasses
import itertools
import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from tfmp.graph.integer_graph import Grid

# The same for all open grids, and so small that a bounded ReLU clips nothing: code that depends on scales then takes
# its usual branch.
_TYPICAL_SCALE = 2.0**-10


@dataclasses.dataclass(frozen=True)
class OpenGrid(Grid):
    """A grid of unknown scale, equal only to grids with the same label and codes.

    Args:
        scale: A typical scale.
        low: Smallest code.
        high: Largest code.
        label: Placeholder for the scale; None for a tensor in floating point.
    """

    label: Hashable = None

    def __post_init__(self) -> None:
        pass  # there is nothing to check

    def __hash__(self) -> int:
        return hash(self.label)

    @classmethod
    def of(cls, label: Hashable, low: int, high: int) -> "OpenGrid":
        """Returns the grid with a label."""
        return cls(_TYPICAL_SCALE, low, high, label)


# Contains any number, so no clip changes it.
FLOAT_GRID = OpenGrid.of(None, 0, 255)


@dataclasses.dataclass(frozen=True)
class OpenArray:
    """A constant of unknown values, equal only to constants with the same label, shape and type.

    Args:
        shape: Its sizes.
        dtype: Their NumPy type.
        label: Placeholder for the values.
    """

    shape: tuple[int, ...]
    dtype: type[np.generic]
    label: Hashable

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def T(self) -> "OpenArray":  # noqa: N802 (NumPy's name)
        return self._with_shape(self.shape[::-1])

    def transpose(self, *axes: int) -> "OpenArray":
        return self._with_shape(self.shape[axis] for axis in axes)

    def reshape(self, *shape: int) -> "OpenArray":
        missing = self.size // math.prod(size for size in shape if size != -1)
        return self._with_shape(missing if size == -1 else size for size in shape)

    def padded(self, widths: Sequence[tuple[int, int]]) -> "OpenArray":
        return self._with_shape(size + before + after for size, (before, after) in zip(self.shape, widths, strict=True))

    def dilated(self, steps: Sequence[int]) -> "OpenArray":
        return self._with_shape(
            (size - 1) * step + 1 for size, step in itertools.zip_longest(self.shape, steps, fillvalue=1)
        )

    def _with_shape(self, shape: Iterable[int]) -> "OpenArray":
        return OpenArray(tuple(map(int, shape)), self.dtype, self.label)


# A NumPy array, or an `OpenArray` if its values are not known.
Constant = Any
_OPEN = (OpenGrid, OpenArray)


def padded(values: Constant, widths: Sequence[tuple[int, int]]) -> Constant:
    """Returns an array padded with zeros; arguments as in `numpy.pad`."""
    return values.padded(widths) if isinstance(values, OpenArray) else np.pad(values, widths)


def dilated(values: Constant, steps: Sequence[int]) -> Constant:
    """Returns an array with zeros between the entries of its first axes: one in `steps` is an entry."""
    if isinstance(values, OpenArray):
        return values.dilated(steps)
    sizes = ((size - 1) * step + 1 for size, step in zip(values.shape, steps, strict=False))
    result = np.zeros((*sizes, *values.shape[len(steps) :]), values.dtype)
    result[tuple(slice(None, None, step) for step in steps)] = values
    return result


def opened(values: Constant) -> OpenArray:
    """Returns an array as an `OpenArray`; the label of known values is their bytes."""
    return values if isinstance(values, OpenArray) else OpenArray(values.shape, values.dtype.type, values.tobytes())


def scales_of(grid: Grid) -> tuple[float] | OpenArray:
    """Returns the scale of a grid as a sequence of one."""
    return OpenArray((1,), np.float32, grid.label) if isinstance(grid, OpenGrid) else (grid.scale,)


def rescaled(grid: Grid, factor: float) -> Grid:
    """Returns a grid with a multiple of the scale; a tensor in floating point has none."""
    if grid == FLOAT_GRID:
        return grid
    if isinstance(grid, OpenGrid):
        return OpenGrid.of((grid.label, factor), grid.low, grid.high)
    return Grid(grid.scale * factor, grid.low, grid.high)


def products_of_scales(grid: Grid, scales: Constant) -> Constant:
    """Returns the products of a grid's scale and other scales, float32."""
    if not isinstance(grid, OpenGrid) and not isinstance(scales, OpenArray):
        return np.float32(grid.scale) * scales
    scale = grid.label if isinstance(grid, OpenGrid) else grid.scale
    return OpenArray(scales.shape, np.float32, (scale, opened(scales).label))


def is_open(*values: Constant | Grid) -> bool:
    """Returns True if one of the grids or constants is not known."""
    return any(isinstance(value, _OPEN) for value in values)
