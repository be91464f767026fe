"""Affine maps of tensors."""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike


@dataclasses.dataclass(frozen=True)
class AffineMap:
    """factor * x + shift in float64, `[]` for a whole tensor or `[channels]`."""

    factor: np.ndarray
    shift: np.ndarray

    def after(self, first: "AffineMap") -> "AffineMap":
        """This map of what `first` returns."""
        return AffineMap(self.factor * first.factor, self.factor * first.shift + self.shift)

    def __call__(self, x: ArrayLike) -> np.ndarray:
        return self.factor * x + self.shift

    def keeps_bounds(self, low: float, high: float) -> bool:
        """True if values from `low` to `high` become those between two others that have zero between them."""
        if self.factor.ndim or self.shift.ndim or not self.factor > 0:
            return False
        return bool(self(low) <= 0 <= self(high))
