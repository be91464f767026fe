"""Turns logits into the weights of a mixture."""

from typing import Any

import tensorflow as tf

from tfmp.annotations import Tensor
from tfmp.checks import check_choice

RELAXATIONS = ("softmax", "annealed", "gumbel")


def probabilities(logits: Tensor) -> tf.Tensor:
    """Returns the probability of each candidate, softmax(logits) (EdMIPS, eq. 11)."""
    return tf.nn.softmax(tf.convert_to_tensor(logits))


def relaxed_choice(
    logits: Tensor, *, relaxation: str, temperature: Tensor = 1.0, seed: Tensor = (0, 0), training: bool = True
) -> tf.Tensor:
    """Returns the weights with which candidates are mixed.

    - `"softmax"`: softmax(logits), as in the paper.
    - `"annealed"`: softmax(logits / temperature), which approaches one-hot as the temperature falls.
    - `"gumbel"`: one candidate per call, sampled from softmax(logits); its gradient is that of
      softmax((logits + Gumbel noise) / temperature), passed straight through. Outside training, the most likely one.

    Args:
        logits: `[candidates]` tensor.
        relaxation: One of `RELAXATIONS`.
        temperature: Scalar, positive.
        seed: Two integers that determine the noise; equal seeds give equal noise on every replica.
        training: Python boolean.

    Returns:
        `[candidates]` tensor that sums to 1.

    Raises:
        ValueError: If `relaxation` is unknown.

    Reference: Jang et al., 2017, https://arxiv.org/abs/1611.01144
    """
    check_relaxation(relaxation)
    logits = tf.convert_to_tensor(logits)
    if relaxation == "softmax":
        return tf.nn.softmax(logits)
    temperature = tf.cast(temperature, logits.dtype)
    if relaxation == "annealed":
        return tf.nn.softmax(logits / temperature)
    if not training:
        return tf.one_hot(tf.argmax(logits), logits.shape[0], dtype=logits.dtype)
    uniform = tf.random.stateless_uniform(logits.shape, seed=seed, minval=1e-7, maxval=1.0, dtype=logits.dtype)
    noisy = logits - tf.math.log(-tf.math.log(uniform))
    soft = tf.nn.softmax(noisy / temperature)
    hard = tf.one_hot(tf.argmax(noisy), logits.shape[0], dtype=logits.dtype)
    return tf.stop_gradient(hard - soft) + soft


def check_relaxation(relaxation: Any) -> None:
    """Raises `ValueError` if the name is unknown."""
    check_choice("relaxation", relaxation, RELAXATIONS)
