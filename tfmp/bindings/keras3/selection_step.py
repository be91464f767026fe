"""The step of the logits alone in a compiled Keras 3 model."""

import keras
import tensorflow as tf

from tfmp.bindings.keras3.optimizer import SelectionOptimizer
from tfmp.bindings.selection_variables import check_optimizer, check_strategy, kept_weights, logits_of
from tfmp.mixins.selection_step import SelectionStep


def hold_logits(model, are_held):
    """Lets the training steps of a compiled model leave the logits as they are, or move them again.

    Raises:
        ValueError: If they are to be held in a model without a `SelectionOptimizer`, or on several devices.
    """
    optimizer = _behind_scaling(model.optimizer)
    if are_held:
        check_optimizer(optimizer, SelectionOptimizer, "tfmp.SelectionOptimizer")
        check_strategy(model)
    if isinstance(optimizer, SelectionOptimizer) and optimizer.holds_logits != are_held:
        optimizer.holds_logits = are_held
        model.make_train_function(force=True)


def selection_step(model) -> SelectionStep:
    """Returns the step that moves the logits of a compiled model, with the loss and the optimizer of its training."""
    logits = logits_of(model.trainable_weights, lambda variable: variable.path)
    kept = kept_weights(model.weights, lambda variable: variable.path)
    kept += [variable for metric in model.metrics for variable in metric.variables]

    def loss(x, y, sample_weight):
        outputs = model(x, training=True)
        return model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=sample_weight)

    return SelectionStep(
        loss,
        logits=[variable.value for variable in logits],
        kept=[variable.value for variable in kept],
        optimizer=_Optimizer(model, logits),
        eager=model.run_eagerly,
    )


class _Optimizer:
    def __init__(self, model, logits):
        self._own, self._logits = _behind_scaling(model.optimizer).selection_optimizer, logits
        is_scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        self._scaler = model.optimizer if is_scaled else None

    def scaled(self, loss):
        loss = self._own.scale_loss(loss)
        return loss if self._scaler is None else self._scaler.scale_loss(loss)

    def unscaled(self, gradients):
        if self._scaler is None:
            return gradients
        scale = self._scaler.scale_loss(tf.ones(()))
        return [gradient / scale for gradient in gradients]

    def apply(self, gradients):
        if self._scaler is None:
            self._own.apply(gradients, self._logits)
            return
        # The scale is kept by the steps of the weights; this one is left out where it overflows.
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
        keras.ops.cond(finite, lambda: self._own.apply(gradients, self._logits), lambda: None)


def _behind_scaling(optimizer):
    return optimizer.inner_optimizer if isinstance(optimizer, keras.optimizers.LossScaleOptimizer) else optimizer
