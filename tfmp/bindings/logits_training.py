"""Trains only the logits of a compiled Keras model."""

import abc

import tensorflow as tf

from tfmp.bindings.selection_optimizer import kept_weights, logits_of
from tfmp.mixins.restoring import restoring


class SelectionStep:
    """Updates only the logits of a model on one batch (EdMIPS, section 4.6, alternating optimization).

    The batch runs in training mode: normalizations use its statistics, dropout is active, a Gumbel relaxation draws,
    and the loss includes the price of the bits. Moving statistics, ranges and metrics are restored afterwards. Only the
    random state advances, so no two steps share their noise.

    Args:
        loss: Function of `(x, y, sample_weight)` that returns the loss of a training pass.
        logits: The variables to update.
        kept: The variables that the pass may change and that are restored.
        optimizer: Object with `scaled(loss)`, `unscaled(gradients)` and `apply(gradients)`, for the logits.
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


class LogitsOptimizer(abc.ABC):
    """Updates logits by a separate optimizer, with the loss scaling of the model's training.

    Args:
        optimizer: The optimizer of the logits.
        scaler: The optimizer that scales losses, None if nothing is scaled.
        logits: The variables.
    """

    def __init__(self, optimizer, scaler, logits):
        self.optimizer, self.scaler, self.logits = optimizer, scaler, logits

    @abc.abstractmethod
    def scaled(self, loss):
        """Returns the loss, scaled if the model's training scales it."""

    @abc.abstractmethod
    def unscaled(self, gradients):
        """Returns the gradients of the loss from those of the scaled loss."""

    @abc.abstractmethod
    def move(self, gradients):
        """Updates the logits."""

    def apply(self, gradients):
        """Updates the logits, unless the scaled gradients overflow."""
        if self.scaler is None:
            self.move(gradients)
            return
        # The steps of the weights adjust the scale; this step is skipped if its gradients overflow.
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
        tf.cond(finite, lambda: self.move(gradients), lambda: None)


def hold_logits(framework, model, are_held):
    """Excludes the logits from the training steps of a compiled model, or includes them again.

    Raises:
        ValueError: If they are to be held in a model without a `SelectionOptimizer`, or on several devices.
    """
    optimizer = unscaled(framework, model.optimizer)
    if are_held:
        _check_optimizer(framework, optimizer)
        check_strategy(model)
    if isinstance(optimizer, framework.SelectionOptimizer) and optimizer.holds_logits != are_held:
        optimizer.holds_logits = are_held
        model.make_train_function(force=True)


def selection_step(framework, model) -> SelectionStep:
    """Returns the step that updates the logits of a compiled model, with its loss and optimizer."""
    logits = logits_of(model.trainable_weights, framework.path_of)
    kept = kept_weights(model.weights, framework.path_of)
    kept += [variable for metric in model.metrics for variable in metric.variables]

    def loss(x, y, sample_weight):
        return model.compute_loss(x=x, y=y, y_pred=model(x, training=True), sample_weight=sample_weight)

    is_scaled = isinstance(model.optimizer, framework.LossScaleOptimizer)
    optimizer = unscaled(framework, model.optimizer).selection_optimizer
    return SelectionStep(
        loss,
        logits=[framework.tf_variable(variable) for variable in logits],
        kept=[framework.tf_variable(variable) for variable in kept],
        optimizer=framework.LogitsOptimizer(optimizer, model.optimizer if is_scaled else None, logits),
        eager=model.run_eagerly,
    )


def check_strategy(model):
    """Raises `ValueError` if a model is replicated."""
    strategy = model.distribute_strategy
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        raise ValueError(
            f"`selection_data` supports models on one device only. Received: model `{model.name}` on "
            f"{strategy.num_replicas_in_sync} replicas. Omit it there: all variables then learn from all data."
        )


def _check_optimizer(framework, optimizer):
    if not isinstance(optimizer, framework.SelectionOptimizer):
        name = f"tfmp.{'keras2.' if framework.name == 'tf_keras' else ''}SelectionOptimizer"
        raise ValueError(
            f"`selection_data` needs a model compiled with a `{name}`, which has separate optimizers for weights "
            f"and logits. Received: {type(optimizer).__name__}"
        )


def unscaled(framework, optimizer):
    """Returns an optimizer itself, or the one that an optimizer with loss scaling wraps."""
    return optimizer.inner_optimizer if isinstance(optimizer, framework.LossScaleOptimizer) else optimizer
