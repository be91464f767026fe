"""Expectations of a price table under independent choices."""

import tensorflow as tf


def expected_cost(price, weight_probabilities, activation_probabilities):
    """p_weights . price . p_activations, exact where the two choices are independent.

    For a price that is a product of bits it is EdMIPS' E[b_w] E[b_a] |f| w h / s**2 (eq. 12).

    Args:
        price: `[W, A]` tensor.
        weight_probabilities: `[W]` tensor.
        activation_probabilities: `[A]` tensor.

    Returns:
        Scalar tensor in the unit of `price`.
    """
    return tf.tensordot(weight_probabilities, tf.linalg.matvec(price, activation_probabilities), axes=1)
