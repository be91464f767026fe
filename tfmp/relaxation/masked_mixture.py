"""Mixtures of kernels that are slices of one kernel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.quantizers.quantizer import Quantizer
from tfmp.relaxation.mixture import mixture


def masked_mixture(
    kernel: tf.Tensor,
    masks: np.ndarray,
    mask_weights: tf.Tensor,
    quantizers: Sequence[Quantizer],
    weights: tf.Tensor,
    *,
    channel_axes: Sequence[int],
) -> tf.Tensor:
    """Returns sum_j w_j sum_b p_b Q_b(kernel * mask_j): one kernel for any number of parts and bits.

    Each part is quantized separately, from its own maximum. If one part and one precision have probability 1, the
    result is the quantized kernel of a network with only this part, padded with zeros.

    Args:
        kernel: The whole kernel.
        masks: `[parts, ...]` array of 0 and 1 that broadcasts to the kernel.
        mask_weights: `[parts]` tensor, summing to 1.
        quantizers: Candidates for the bits, quantizers without state.
        weights: `[bits]` tensor, summing to 1.
        channel_axes: Negative axes of the kernel's output channels.
    """
    states: list[dict[str, Any]] = [{}] * len(quantizers)
    parts = [
        mixture(kernel * mask if mask.min() == 0 else kernel, quantizers, states, weights, channel_axes=channel_axes)
        for mask in masks
    ]
    return parts[0] if len(parts) == 1 else tf.add_n([mask_weights[i] * part for i, part in enumerate(parts)])


def first_channels(sizes: Sequence[int]) -> np.ndarray:
    """Returns `[parts, 1, 1, channels, 1]` masks of the first input channels of a kernel; the last has all of them."""
    return np.array([np.arange(sizes[-1]) < size for size in sizes], np.float32)[:, None, None, :, None]


def centres(sides: Sequence[int]) -> np.ndarray:
    """Returns `[parts, side, side, 1, 1]` masks of the centre of a square kernel; the last has all of it."""
    distances = np.abs(np.arange(sides[-1]) - sides[-1] // 2)
    rows = np.array([distances <= side // 2 for side in sides], np.float32)
    return rows[:, :, None, None, None] * rows[:, None, :, None, None]
