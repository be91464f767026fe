"""Turns logits into the weights of a mixture, and these into an expected cost."""

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


def expected_cost(
    price: tf.Tensor, weight_probabilities: tf.Tensor, activation_probabilities: tf.Tensor, *, coupled: bool = False
) -> tf.Tensor:
    """Computes the expected cost p_weights . price . p_activations; for coupled choices p . diagonal(price).

    It is exact, because the two choices are independent or coupled. For a price that is a product of bits, it is the
    E[b_w] E[b_a] |f| w h / s**2 of EdMIPS (eq. 12).

    Args:
        price: `[W, A]` tensor.
        weight_probabilities: `[W]` tensor.
        activation_probabilities: `[A]` tensor.
        coupled: True if there is one choice, among pairs of equal positions with equal probabilities.

    Returns:
        Scalar tensor in the unit of `price`.
    """
    if coupled:
        return tf.reduce_sum(weight_probabilities * tf.linalg.diag_part(price))
    return tf.reduce_sum(weight_probabilities * tf.linalg.matvec(price, activation_probabilities))
