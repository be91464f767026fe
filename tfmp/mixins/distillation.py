"""Training by distillation from a teacher."""

import contextlib
import functools
import inspect
import threading
from typing import Any

import tensorflow as tf

from tfmp.annotations import KerasMixin, KerasModel

_SMALLEST_PROBABILITY = 1e-7


class DistillationMixin(KerasMixin):
    """A model of a student's layers whose training loss includes the divergence from a teacher's outputs.

    Predictions, metrics and the loss of `evaluate` are those of the student. `save` writes the student.

    Attributes:
        soft_targets: The `SoftTargets`, which hide teacher and student from Keras's tracking: neither is a part of the
            model, whose weights are those of the student's layers.
    """

    soft_targets = None

    @property
    def student(self):
        return self.soft_targets.student

    @property
    def losses(self):
        # Keras adds these losses to the loss, divided among replicas if there are several.
        return [*super().losses, *(self.soft_targets.pending() if self.soft_targets is not None else ())]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **options):
        if "training" in inspect.signature(super().compute_loss).parameters:
            options["training"] = not self.soft_targets.rest
        with self.soft_targets.at(x, y_pred, sample_weight):
            return super().compute_loss(x, y, y_pred, sample_weight, **options)

    def test_step(self, data):
        with self.soft_targets.at_rest():
            return super().test_step(data)

    def save(self, *arguments, **options):
        return self.student.save(*arguments, **options)


class SoftTargets(threading.local):
    """The divergence of a student's outputs from those of a teacher.

    weight * temperature**2 * mean KL(softmax(t / temperature) || softmax(s / temperature)), with the logits t of the
    teacher and s of the student, over all samples and positions, summed over the outputs.

    Each thread, a replica of a distribution strategy, has its own pending losses.

    Args:
        student: The model that learns.
        teacher: A function of inputs that returns outputs in the structure of the student's.
        are_probabilities: For teacher and student, one flag per output: True for probabilities, False for logits.
        temperature: Positive number by which the logits are divided.
        weight: Weight of the divergence; the loss of the targets has weight 1.

    Reference: Hinton et al., 2015, https://arxiv.org/abs/1503.02531
    """

    def __init__(self, student, teacher, *, are_probabilities, temperature, weight):
        self.student, self.teacher = student, teacher
        self.are_probabilities, self.temperature, self.weight = are_probabilities, temperature, weight
        self.rest, self._pending = False, []

    def pending(self):
        """The losses of the forward pass whose loss is being computed."""
        return list(self._pending)

    @contextlib.contextmanager
    def at_rest(self):
        """Adds nothing to the loss within the block."""
        self.rest = True
        try:
            yield
        finally:
            self.rest = False

    @contextlib.contextmanager
    def at(self, inputs, outputs, sample_weight):
        """Adds the divergence at these inputs to the loss within the block."""
        self._pending = [] if self.rest else [self.weight * self.divergence(inputs, outputs, sample_weight)]
        try:
            yield
        finally:
            self._pending = []

    def divergence(self, inputs, outputs, sample_weight=None):
        """Returns the divergence at some inputs, a scalar, before it is multiplied by `weight`."""
        targets = [tf.stop_gradient(target) for target in tf.nest.flatten(self.teacher(inputs))]
        weights = tf.nest.flatten(sample_weight)
        weights = weights * len(targets) if len(weights) == 1 else weights
        pairs = zip(targets, tf.nest.flatten(outputs), *self.are_probabilities, weights, strict=True)
        return tf.add_n([self._of_one(*pair) for pair in pairs])

    def _of_one(self, target, output, target_is_probability, output_is_probability, sample_weight):
        targets = self._log_probabilities(target, target_is_probability)
        outputs = self._log_probabilities(output, output_is_probability)
        apart = tf.reduce_sum(tf.exp(targets) * (targets - outputs), axis=-1)
        if sample_weight is not None:
            weights = tf.cast(sample_weight, apart.dtype)
            apart *= tf.reshape(weights, [-1] + [1] * (apart.shape.rank - 1)) if weights.shape.rank == 1 else weights
        return self.temperature**2 * tf.reduce_mean(apart)

    def _log_probabilities(self, values, are_probabilities):
        values = tf.cast(values, tf.float32)
        if are_probabilities:
            values = tf.math.log(tf.maximum(values, _SMALLEST_PROBABILITY))
        return tf.nn.log_softmax(values / self.temperature)


def distilled_model(student: KerasModel, soft_targets: SoftTargets, model_class: type) -> KerasModel:
    """Returns a model of a student's layers and class that also learns from a teacher, by the class's training step.

    Args:
        student: A functional or Sequential model. It is not changed; the result shares its weights.
        soft_targets: The `SoftTargets` to learn from.
        model_class: The class that builds such a model from inputs and outputs.
    """
    # The class that `keras.Model` creates has no public name.
    plain: Any = type(model_class(student.input, student.output))
    model = _distilled(plain)(student.input, student.output, name=student.name)
    model.soft_targets = soft_targets
    return model


@functools.lru_cache
def _distilled(plain):
    return type(f"Distilled{plain.__name__}", (DistillationMixin, plain), {})
