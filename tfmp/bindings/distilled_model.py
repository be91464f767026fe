"""Wraps a model so that `fit` trains it by distillation."""

import functools

from tfmp.mixins.distillation import DistillationMixin


def distilled_model(student, soft_targets, model_class):
    """Returns a model over the layers of a student, of the student's own class, with its training step if it has one.

    Args:
        student: A functional or Sequential model. It is not changed, but its weights are those of the result.
        soft_targets: The `SoftTargets` that it is to learn from.
        model_class: What builds such a model from inputs and outputs.
    """
    # Of what Keras builds as `Model`, the class has no public name.
    plain = type(model_class(student.input, student.output))
    model = _distilled(plain)(student.input, student.output, name=student.name)
    model.soft_targets = soft_targets
    return model


@functools.lru_cache
def _distilled(plain):
    return type(f"Distilled{plain.__name__}", (DistillationMixin, plain), {})
