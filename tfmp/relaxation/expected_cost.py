"""Expected value of a cost table."""

import tensorflow as tf


def expected_cost(
    price: tf.Tensor, weight_probabilities: tf.Tensor, activation_probabilities: tf.Tensor, *, coupled: bool = False
) -> tf.Tensor:
    """p_weights . price . p_activations, exact where the two choices are independent; p . diagonal where they are one.

    For a price that is a product of bits it is EdMIPS' E[b_w] E[b_a] |f| w h / s**2 (eq. 12).

    Args:
        price: `[W, A]` tensor.
        weight_probabilities: `[W]` tensor.
        activation_probabilities: `[A]` tensor.
        coupled: True if the two choices are one, of equal probabilities, among pairs of equal positions.

    Returns:
        Scalar tensor in the unit of `price`.
    """
    if coupled:
        return tf.tensordot(weight_probabilities, tf.linalg.diag_part(price), axes=1)
    return tf.tensordot(weight_probabilities, tf.linalg.matvec(price, activation_probabilities), axes=1)
