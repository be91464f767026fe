"""Expected value of a cost table."""

import tensorflow as tf


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
        return tf.tensordot(weight_probabilities, tf.linalg.diag_part(price), axes=1)
    return tf.tensordot(weight_probabilities, tf.linalg.matvec(price, activation_probabilities), axes=1)
