"""Trains the supernet and the controller of a joint search, step by step."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfmp.annotations import Tensor
from tfmp.bindings.selection_optimizer import optimizer_of
from tfmp.checks import check_instance
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.joint.joint_data import as_tensors, iterate
from tfmp.joint.joint_settings import JointSettings
from tfmp.joint.supernet import supernet
from tfmp.mixins.restoring import restoring
from tfmp.relaxation.relaxed_choice import gumbel_sample


def validation_gradient(
    loss: Callable[[Any, Tensor], Tensor],
    weights: Sequence[Any],
    logits: Tensor,
    training: Any,
    validation: Any,
    *,
    order: str = "first",
    step_size: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Returns the validation loss and its gradient for the controller's logits (eq. 4 to 6, one sample).

    `"first"` uses the weights after the last training step, and ignores that this step depended on the logits.
    `"second"` takes a step of gradient descent on a copy, w' = w - step_size d L_train / d w, and differentiates
    through it:

        d L_val(w', a) / d logits - step_size d/d logits <d L_train(w, a) / d w, v>,  v = d L_val(w', a) / d w'

    The weights are restored afterwards.

    Args:
        loss: Function of a batch and the logits to a scalar tensor; it draws the same sample each time.
        weights: Variables that training updates.
        logits: `[rows, width]` tensor.
        training: A batch of training data, used by `"second"`.
        validation: A batch of validation data.
        order: `"first"` or `"second"`.
        step_size: Size of the step on the copy.

    Returns:
        A scalar tensor, and a tensor like `logits`.

    Reference: Liu et al., 2019, https://arxiv.org/abs/1806.09055
    """
    if order == "first":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(logits)
            value = loss(validation, logits)
        return value, tape.gradient(value, logits, unconnected_gradients="zero")

    with tf.GradientTape() as tape:
        training_loss = loss(training, logits)
    first_step = tape.gradient(training_loss, weights, unconnected_gradients="zero")
    with restoring(weights):
        for weight, gradient in zip(weights, first_step, strict=True):
            weight.assign_sub(step_size * gradient)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(validation, logits)
        direct, *directions = tape.gradient(value, [logits, *weights], unconnected_gradients="zero")

    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(logits)
        with tf.GradientTape() as inner:
            training_loss = loss(training, logits)
        gradients = inner.gradient(training_loss, weights, unconnected_gradients="zero")
        along = tf.add_n([tf.reduce_sum(g * d) for g, d in zip(gradients, directions, strict=True)])
    mixed = outer.gradient(along, logits, unconnected_gradients="zero")
    return value, direct - step_size * mixed


class JointTrainer:
    """Holds a supernet and the logits of its controller, and runs their training steps.

    Args:
        categoricals: The choices of the search space.
        settings: The settings of the search.
        optimizers: The optimizers of the weights and of the controller, None for the defaults.
        loss: Function of labels and logits to a scalar.

    Attributes:
        supernet: The model; its inputs are images and choices.
        logits: `[rows, width]` variable of the controller.
        weights_optimizer, controller_optimizer: The optimizers.
    """

    def __init__(
        self,
        categoricals: Categoricals,
        settings: JointSettings,
        optimizers: Any,
        loss: Callable[[Any, Any], Any] | None,
    ):
        self._categoricals, self._settings, self._loss = categoricals, settings, loss
        self.weights_optimizer, self.controller_optimizer = _optimizers(optimizers)
        self.supernet = supernet(categoricals.space)
        self.logits = keras.Variable(keras.ops.zeros(categoricals.shape), name="controller_logits")
        self.weights_optimizer.build(self.supernet.trainable_variables)
        self.controller_optimizer.build([self.logits])
        self._weights_step = tf.function(self._train_weights, autograph=False)
        self._controller_gradient = tf.function(self._gradient, autograph=False)
        self._loss_of = tf.function(self._loss_of_choices, autograph=False)

    @property
    def variables(self) -> list[Any]:
        """Returns all variables, in a fixed order."""
        optimizers = self.weights_optimizer, self.controller_optimizer
        return [*self.supernet.variables, self.logits, *(v for each in optimizers for v in each.variables)]

    def logit_values(self) -> np.ndarray:
        """The logits, `[rows, width]` float64."""
        return np.asarray(tf.convert_to_tensor(self.logits), np.float64)

    def train_weights(self, batch: Any, *, seed: Any, temperature: float) -> float:
        """Updates the supernet's weights on a training batch under a sample of the controller; returns the loss."""
        return self._weights_step(*as_tensors(batch), self._noise(seed), _scalar(temperature))

    def gradient(
        self, training: Any, validation: Any, *, seed: Any, temperature: float, step_size: float | None = None
    ) -> tuple[Any, Any]:
        """Returns the validation loss under a sample, and its gradient for the logits; see `validation_gradient`.

        Args:
            training: The training batch of the last weight update.
            validation: A validation batch.
            seed: Seed of the sample.
            temperature: Temperature of the sample.
            step_size: Size of the step on a copy of the weights; by default their learning rate.
        """
        step_size = tf.convert_to_tensor(self.weights_optimizer.learning_rate) if step_size is None else step_size
        batches = as_tensors(training), as_tensors(validation)
        return self._controller_gradient(*batches, self._noise(seed), _scalar(temperature), _scalar(step_size))

    def move_logits(self, gradient: Any) -> None:
        """Updates the logits by a gradient, `[rows, width]`."""
        self.controller_optimizer.apply([tf.constant(gradient, tf.float32)], [self.logits])

    def restricted_loss(self, network: DiscreteNetwork, batches: Any) -> float:
        """Returns the mean loss of the supernet restricted to one network, with the statistics of each batch."""
        choices = tf.constant(self._categoricals.one_hot(self._categoricals.indices(network)))
        with restoring(self.supernet.non_trainable_variables):
            losses = [self._loss_of(*as_tensors(batch), choices) for batch in iterate(batches)]
        if not losses:
            raise ValueError(f"Expected at least one batch of images and labels. Received none: {batches!r}")
        return float(np.mean(losses))

    def _noise(self, seed):
        return tf.constant(np.random.default_rng(seed).gumbel(size=self._categoricals.shape), tf.float32)

    def _sample(self, logits, noise, temperature):
        hard = self._settings.samples == "hard"
        return gumbel_sample(logits, self._categoricals.mask, noise, temperature, hard=hard)

    def _loss_of_choices(self, images, labels, choices):
        value = self._loss(labels, self.supernet([images, choices], training=True))
        return tf.add_n([value, *self.supernet.losses])

    def _train_weights(self, images, labels, noise, temperature):
        choices = self._sample(tf.convert_to_tensor(self.logits), noise, temperature)
        weights = self.supernet.trainable_variables
        with tf.GradientTape() as tape:
            value = self._loss_of_choices(images, labels, choices)
        self.weights_optimizer.apply(tape.gradient(value, weights, unconnected_gradients="zero"), weights)
        return value

    def _gradient(self, training, validation, noise, temperature, step_size):
        def loss(batch, logits):
            return self._loss_of_choices(*batch, self._sample(logits, noise, temperature))

        with restoring(self.supernet.non_trainable_variables):
            return validation_gradient(
                loss,
                self.supernet.trainable_variables,
                tf.convert_to_tensor(self.logits),
                training,
                validation,
                order=self._settings.order,
                step_size=step_size,
            )


def _optimizers(given):
    # Low momentum for the controller: more would move the cost far below the target, where no penalty stops it.
    if given is None:
        return keras.optimizers.SGD(0.05, momentum=0.9), keras.optimizers.Adam(0.02, beta_1=0.5)
    check_instance("optimizers", given, (list, tuple), "a pair, of the weights and of the controller")
    if len(given) != 2:
        raise ValueError(f"`optimizers` must be two, of the weights and of the controller. Received: {len(given)}")
    return tuple(optimizer_of(keras.optimizers, "optimizers", each) for each in given)


def _scalar(value):
    return tf.convert_to_tensor(value, tf.float32)
