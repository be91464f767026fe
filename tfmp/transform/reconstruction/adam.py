"""Adam for variables of TensorFlow, whichever Keras there is."""

from collections.abc import Sequence

import tensorflow as tf

from tfmp.annotations import Tensor

_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-12


class Adam:
    """Updates variables by Adam, each with a learning rate of its own.

    Args:
        variables: The variables, of TensorFlow.
        learning_rates: One for each, a number or an array that broadcasts.

    Reference: Kingma and Ba, 2015, algorithm 1, https://arxiv.org/abs/1412.6980
    """

    def __init__(self, variables: Sequence[tf.Variable], learning_rates: Sequence[Tensor]):
        self._variables, self._rates = list(variables), list(learning_rates)
        self._moments = [(tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for v in self._variables]

    def apply(self, gradients: Sequence[tf.Tensor], step: Tensor, factor: Tensor = 1.0) -> None:
        """Makes one update.

        Args:
            gradients: One for each variable.
            step: Number of this update, the first is 1.
            factor: Multiplies the learning rates, for a schedule.
        """
        step = tf.cast(step, tf.float32)
        correction = tf.sqrt(1 - tf.pow(_SECOND, step)) / (1 - tf.pow(_FIRST, step))
        for variable, gradient, rate, (first, second) in zip(
            self._variables, gradients, self._rates, self._moments, strict=True
        ):
            first.assign(_FIRST * first + (1 - _FIRST) * gradient)
            second.assign(_SECOND * second + (1 - _SECOND) * tf.square(gradient))
            variable.assign_sub(factor * rate * correction * first / (tf.sqrt(second) + _EPSILON))
