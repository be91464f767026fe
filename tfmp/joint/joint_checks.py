"""Checks that the data, losses and variables of a joint search are finite."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfmp.files.finite_values import NotFiniteError, check_class_indices, check_finite, names_not_finite
from tfmp.joint.epoch_batches import is_pair_of_arrays
from tfmp.joint.joint_backup import value_of

_DIVERGED = "the search diverged: lower the learning rate, or clip gradients"


def check_part(name: str, part: Any, num_classes: int | None) -> None:
    """Refuses arrays that are not finite, and labels that are no classes.

    Args:
        name: What errors call the part of the data.
        part: As `JointSearch.fit` takes it; what is no pair of arrays is not looked at.
        num_classes: How many classes there are; None for labels of another kind.
    """
    if is_pair_of_arrays(part):
        images, labels = part
        check_finite(f"{name} images", images)
        check_finite(f"{name} labels", labels)
        if num_classes is not None and np.shape(labels) != (len(labels), num_classes):  # else probabilities
            check_class_indices(f"{name} labels", labels, (len(labels),), num_classes)


def check_step(what: str, value: Any, batch: Any, *, where: str, backup: Any) -> None:
    """Raises an error if a loss or a gradient is NaN or infinite, and says whether the data are.

    Args:
        what: What errors call it.
        value: The number, or the numbers.
        batch: Images and labels that it was computed on.
        where: The step and the epoch, in words.
        backup: The `JointBackup`.
    """
    if np.isfinite(value).all():
        return
    for name, array in zip(("images", "labels"), batch, strict=True):
        check_finite(f"{name} {where}", array)
    raise NotFiniteError(f"The {what} is not finite {where}. The batch is: {_DIVERGED}.{backup.kept()}")


def check_variables(variables: Iterable[Any], *, when: str, backup: Any) -> None:
    """Raises an error if a Keras variable is NaN or infinite."""
    wrong = next(names_not_finite((variable.path, value_of(variable)) for variable in variables), None)
    if wrong is not None:
        raise NotFiniteError(f"The variable `{wrong}` is not finite {when}: {_DIVERGED}.{backup.kept()}")
