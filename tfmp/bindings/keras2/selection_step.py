"""The step of the logits alone in a compiled tf_keras model."""

import tensorflow as tf
import tf_keras

from tfmp.bindings.keras2.optimizer import SelectionOptimizer
from tfmp.bindings.selection_variables import check_optimizer, check_strategy, kept_weights, logits_of
from tfmp.mixins.selection_step import SelectionStep


def hold_logits(model, are_held):
    """Lets the training steps of a compiled model leave the logits as they are, or move them again.

    Raises:
        ValueError: If they are to be held in a model without a `SelectionOptimizer`, or on several devices.
    """
    optimizer = _behind_scaling(model.optimizer)
    if are_held:
        check_optimizer(optimizer, SelectionOptimizer, "tfmp.keras2.SelectionOptimizer")
        check_strategy(model)
    if isinstance(optimizer, SelectionOptimizer) and optimizer.holds_logits != are_held:
        optimizer.holds_logits = are_held
        model.make_train_function(force=True)


def selection_step(model) -> SelectionStep:
    """Returns the step that moves the logits of a compiled model, with the loss and the optimizer of its training."""
    logits = logits_of(model.trainable_weights, lambda variable: variable.name)
    kept = kept_weights(model.weights, lambda variable: variable.name)
    kept += [variable for metric in model.metrics for variable in metric.variables]

    def loss(x, y, sample_weight):
        return model.compute_loss(x, y, model(x, training=True), sample_weight)

    optimizer = _Optimizer(model, logits)
    return SelectionStep(loss, logits=logits, kept=kept, optimizer=optimizer, eager=model.run_eagerly)


class _Optimizer:
    def __init__(self, model, logits):
        self._own, self._logits = _behind_scaling(model.optimizer).selection_optimizer, logits
        is_scaled = isinstance(model.optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
        self._scaler = model.optimizer if is_scaled else None
        self._own.build(logits)

    def scaled(self, loss):
        return loss if self._scaler is None else self._scaler.get_scaled_loss(loss)

    def unscaled(self, gradients):
        return gradients if self._scaler is None else self._scaler.get_unscaled_gradients(gradients)

    def apply(self, gradients):
        if self._scaler is None:
            self._apply(gradients)
            return
        # The scale is kept by the steps of the weights; this one is left out where it overflows.
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
        tf.cond(finite, lambda: self._apply(gradients), lambda: None)

    def _apply(self, gradients):
        self._own.apply_gradients(zip(gradients, self._logits, strict=True))


def _behind_scaling(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer)
