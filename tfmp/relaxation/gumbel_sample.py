"""Straight-through Gumbel samples of categorical distributions."""

import tensorflow as tf

from tfmp.annotations import Tensor


def gumbel_sample(
    logits: tf.Tensor, mask: Tensor, noise: tf.Tensor, temperature: Tensor, *, hard: bool = False
) -> tf.Tensor:
    """Returns softmax((logits + noise) / temperature) over the candidates of each row.

    With Gumbel noise, the largest entry of a row is a sample of softmax(logits), at any temperature.

    Args:
        logits: `[rows, width]` tensor.
        mask: `[rows, width]`, 1 where there is a candidate.
        noise: `[rows, width]`.
        temperature: Positive scalar. Near zero, a sample is nearly one-hot, and its gradient is large and rare.
        hard: If True, returns the one-hot sample with the gradient of the soft one.

    Returns:
        `[rows, width]` tensor whose rows sum to 1.

    Reference: Jang et al., 2017, https://arxiv.org/abs/1611.01144
    """
    padding = (1 - tf.convert_to_tensor(mask)) * tf.constant(-1e30, logits.dtype)
    noisy = (logits + noise) / temperature + padding
    soft = tf.nn.softmax(noisy)
    if not hard:
        return soft
    drawn = tf.one_hot(tf.argmax(noisy, axis=1), logits.shape[1], dtype=logits.dtype)
    return tf.stop_gradient(drawn - soft) + soft
