"""A training step of the logits alone."""

import tensorflow as tf

from tfmp.mixins.restoring import restoring


class SelectionStep:
    """Moves the logits of a model by one batch, and nothing else (EdMIPS, section 4.6, alternating optimization).

    The batch passes as in training: normalizations use its statistics, layers drop out, a Gumbel relaxation draws, and
    the loss holds the price of the bits. What the pass would leave behind is put back: moving statistics, ranges,
    metrics. Only the state of random numbers goes on, so that no two passes draw alike.

    Args:
        loss: Function of `(x, y, sample_weight)` that returns the loss of a training pass.
        logits: The variables that move.
        kept: The variables that the pass may change and that shall be what they were.
        optimizer: What has `scaled(loss)`, `unscaled(gradients)` and `apply(gradients)`, for the logits.
        eager: True to run without compilation.
    """

    def __init__(self, loss, *, logits, kept, optimizer, eager=False):
        self._loss, self._logits, self._kept, self._optimizer = loss, list(logits), list(kept), optimizer
        self._run = self._step if eager else tf.function(self._step, reduce_retracing=True)

    def __call__(self, x, y, sample_weight=None):
        x, y = tf.nest.map_structure(tf.convert_to_tensor, (x, y))
        weight = sample_weight if sample_weight is None else tf.nest.map_structure(tf.convert_to_tensor, sample_weight)
        return self._run(x, y, weight)

    def _step(self, x, y, sample_weight):
        with restoring(self._kept):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self._logits)
                loss = self._loss(x, y, sample_weight)
                scaled = self._optimizer.scaled(loss)
            gradients = tape.gradient(scaled, self._logits, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            self._optimizer.apply(self._optimizer.unscaled(gradients))
        return loss
