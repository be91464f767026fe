"""Affine maps of tensors, and their integer constants."""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike

from tfmp.graph import Grid
from tfmp.graph.open_values import Constant, OpenArray, OpenGrid
from tfmp.graph.runtime_limits import LARGEST_BIAS, LARGEST_PACKED_BIAS


@dataclasses.dataclass(frozen=True)
class AffineMap:
    """The affine map factor * x + shift in float64; both are `[]` for a whole tensor or `[channels]`."""

    factor: np.ndarray
    shift: np.ndarray

    def after(self, first: "AffineMap") -> "AffineMap":
        """Returns the composition of two maps: `first`, then this one."""
        return AffineMap(self.factor * first.factor, self.factor * first.shift + self.shift)

    def __call__(self, x: ArrayLike) -> np.ndarray:
        return self.factor * x + self.shift

    def keeps_bounds(self, low: float, high: float) -> bool:
        """Returns True if the interval from `low` to `high` is mapped to an interval that contains zero."""
        if self.factor.ndim or self.shift.ndim or not self.factor > 0:
            return False
        return bool(self(low) <= 0 <= self(high))


def folded_map(affine: AffineMap, channels: int, grid: Grid) -> dict[str, Constant]:
    """Returns the constants of a product per channel that computes an affine map, `[channels]` each.

    Args:
        affine: The map.
        channels: Number of channels of the input.
        grid: Grid of the input.
    """
    factor, shift = (np.broadcast_to(values, (channels,)) for values in (affine.factor, affine.shift))
    constants: dict[str, Constant] = in_container(np.where(factor < 0, -1, 1)[None], np.abs(factor), shift, grid.scale)
    constants["kernel"] = constants["kernel"][0]
    if isinstance(grid, OpenGrid) and affine.shift.any():
        label = (affine.factor.tobytes(), affine.shift.tobytes(), grid.label)
        constants["bias"] = OpenArray((channels,), np.int32, label)
    return constants


def in_container(
    codes: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    input_scale: float,
    *,
    container_bits: int = 8,
    is_indexed: bool = False,
) -> dict[str, np.ndarray]:
    """Returns the constants for `[taps, channels]` codes, their scales, and biases as real numbers.

    Args:
        codes: Integers.
        scale: Scale of each channel.
        bias: Bias of each channel.
        input_scale: Scale of the input's codes.
        container_bits: Bits of a code in the file.
        is_indexed: True if the file has indices into a table of codes. The codes are then not shifted into the room of
            their container, as the shifts of channels may differ, and no code is added that the table may lack.
    """
    input_scale = np.float64(np.float32(input_scale))
    # Half of the runtime's limit, because the scale is rounded.
    largest_bias = (LARGEST_BIAS if container_bits == 8 else LARGEST_PACKED_BIAS) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        room = largest_bias / (np.abs(bias) / (input_scale * scale))
    # If the factor of a channel is zero or almost zero, only its bias matters.
    vanishing = ~(room > 1)
    if not is_indexed or (codes == 0).any():  # codes of 1 bit have no zero
        codes = np.where(vanishing, 0, codes)
    scale = np.where(vanishing, np.maximum(np.abs(bias) / (input_scale * largest_bias), 1e-12), scale)
    # INT8 kernels must not contain -128; packed kernels may contain every code.
    largest = 2 ** (container_bits - 1) - 1
    smallest = -largest if container_bits == 8 else -largest - 1
    most = min(largest / max(1, codes.max()), smallest / min(-1, codes.min()))
    shift = 0 if is_indexed else np.floor(np.log2(np.minimum(most, np.where(vanishing, 1, room))))
    scale = (scale / 2.0**shift).astype(np.float32)
    return {
        "kernel": (codes * 2.0**shift).astype(np.int8),
        "kernel_scale": scale,
        "bias": np.rint(bias / (input_scale * scale)).astype(np.int32),
    }
