"""Mixtures of quantizers."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    widest = quantizers[-1] if shared else None
    return tuple(
        ops.mix(tensor, (1.0,), (quantizer.grid(tensor, state, widest=widest, channel_axes=channel_axes),))
        for tensor, quantizer, state in zip(tensors, quantizers, states, strict=True)
    )


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
        Scalar tensor.
    """
    candidates = tf.stack(quantized(x, quantizers, states, shared=shared, channel_axes=channel_axes))
    weights = tf.cast(weights, candidates.dtype)
    mean = tf.tensordot(weights, candidates, axes=1)
    spread = tf.reduce_sum(tf.square(candidates - mean), axis=range(1, candidates.shape.rank))
    return tf.tensordot(weights, spread, axes=1) / tf.maximum(tf.reduce_sum(tf.square(mean)), 1e-12)


def _grids(x, quantizers, states, shared, channel_axes):
    widest = quantizers[-1] if shared else None
    return tuple(
        quantizer.grid(x, state, widest=widest, channel_axes=channel_axes)
        for quantizer, state in zip(quantizers, states, strict=True)
    )
