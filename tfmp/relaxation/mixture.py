"""Mixtures of quantizers, and of kernels that are slices of one kernel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp import ops
from tfmp.annotations import Tensor
from tfmp.quantizers.quantizer import Quantizer


def mixture(
    x: Tensor,
    quantizers: Sequence[Quantizer],
    states: Sequence[Mapping[str, Any]],
    weights: tf.Tensor,
    *,
    shared: bool = True,
    channel_axes: Sequence[int] | None = None,
) -> tf.Tensor:
    """Returns sum_i weights_i Q_i(x), the composite tensor of EdMIPS (eq. 14, 16; eq. 15 for a tuple of tensors).

    Args:
        x: Tensor of floats; or a tuple with the tensor of each candidate.
        quantizers: The candidates, of one family, in increasing bits.
        states: One state per candidate; the same object each time if `shared`.
        weights: `[candidates]` tensor.
        shared: True if the states are one state, that of the widest candidate.
        channel_axes: Negative axes of the output channels of a kernel, None for an activation.

    Returns:
        Tensor of the shape of `x`.
    """
    if isinstance(x, tuple):
        candidates = quantized(x, quantizers, states, shared=shared, channel_axes=channel_axes)
        return tf.add_n([weights[i] * candidate for i, candidate in enumerate(candidates)])
    x = tf.convert_to_tensor(x)
    if quantizers[0].is_stored:
        return x
    return ops.mix(x, weights, _grids(x, quantizers, states, shared, channel_axes))


def quantized(
    x: Tensor,
    quantizers: Sequence[Quantizer],
    states: Sequence[Mapping[str, Any]],
    *,
    shared: bool = True,
    channel_axes: Sequence[int] | None = None,
) -> tuple[tf.Tensor, ...]:
    """Returns the tuple of all Q_i(x), one per candidate; arguments as in `mixture`."""
    tensors = x if isinstance(x, tuple) else (tf.convert_to_tensor(x),) * len(quantizers)
    grids = _grids(x, quantizers, states, shared, channel_axes)
    return tuple(ops.mix(tensor, (1.0,), (grid,)) for tensor, grid in zip(tensors, grids, strict=True))


def relative_variance(
    x: Tensor,
    quantizers: Sequence[Quantizer],
    states: Sequence[Mapping[str, Any]],
    weights: tf.Tensor,
    *,
    shared: bool = True,
    channel_axes: Sequence[int] | None = None,
) -> tf.Tensor:
    """Returns sum_i w_i |Q_i(x) - mean|**2 / |mean|**2, where mean is the mixture.

    It measures how far a mixture is from any single candidate: 0 if they agree or one has all the weight. If mixtures
    keep a large variance, expect a loss of accuracy at discretization.

    Returns:
        Scalar tensor, without a gradient for `x` and the states.
    """
    candidates = ops.quantize_each(x, _grids(x, quantizers, states, shared, channel_axes))
    rows = tf.reshape(candidates, [len(quantizers), -1])
    weights = tf.cast(weights, rows.dtype)
    # Inner products of the candidates, in place of their differences from the mean: one pass over them.
    products = tf.matmul(rows, rows, transpose_b=True)
    power = tf.tensordot(weights, tf.linalg.matvec(products, weights), 1)
    spread = tf.tensordot(weights, tf.linalg.diag_part(products), 1) - power
    return tf.maximum(spread, 0) / tf.maximum(power, 1e-12)


def _grids(x, quantizers, states, shared, channel_axes):
    """Returns the grid of each candidate for one tensor, or for a tuple with the tensor of each."""
    if shared and not isinstance(x, tuple):
        return quantizers[-1].grids(tf.convert_to_tensor(x), states[-1], quantizers, channel_axes=channel_axes)
    tensors = x if isinstance(x, tuple) else (tf.convert_to_tensor(x),) * len(quantizers)
    widest = quantizers[-1] if shared else None
    return tuple(
        quantizer.grid(tensor, state, widest=widest, channel_axes=channel_axes)
        for tensor, quantizer, state in zip(tensors, quantizers, states, strict=True)
    )


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
