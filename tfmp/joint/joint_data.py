"""Batches of an epoch, and checks that data, losses and variables are finite."""

import collections.abc
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.annotations import Tensor
from tfmp.files.finite_values import NotFiniteError, check_class_indices, check_finite, names_not_finite
from tfmp.joint.joint_backup import value_of


def epoch_batches(data: Any, epoch: int, batch_size: int, seed: int) -> Any:
    """Returns the batches of an epoch: pairs of images and labels, with a length, by index or by iteration.

    Args:
        data: A pair of arrays; such batches, a `keras.utils.PyDataset`, a list or a `tf.data.Dataset` of known length
            for example; or a function from the epoch to such batches.
        epoch: Number of the epoch, from 0.
        batch_size: Batch size of arrays; an incomplete last batch is dropped.
        seed: Integer, for the order of arrays.

    Raises:
        ValueError: If there are fewer images than a batch, or a different number of labels.
    """
    if callable(data):
        return data(epoch)
    if not is_pair_of_arrays(data):
        return data
    images, labels = data
    if len(images) != len(labels) or len(images) < batch_size:
        raise ValueError(
            f"Expected as many labels as images, and at least {batch_size}, one batch. "
            f"Received: {len(images)} images and {len(labels)} labels"
        )
    order = np.random.default_rng((seed, epoch)).permutation(len(images))
    return _Batches(images, labels, [order[i : i + batch_size] for i in range(0, len(order), batch_size)], batch_size)


def is_pair_of_arrays(data: Any) -> bool:
    """Returns True for images and labels as arrays, False for batches."""
    return isinstance(data, tuple | list) and len(data) == 2 and hasattr(data[0], "shape")


class _Batches:
    def __init__(self, images, labels, chosen, batch_size):
        self.images, self.labels = images, labels
        self.chosen = [indices for indices in chosen if len(indices) == batch_size]

    def __len__(self):
        return len(self.chosen)

    def __getitem__(self, index):
        return self.images[self.chosen[index]], self.labels[self.chosen[index]]


def iterate(batches: Any) -> Iterator[Any]:
    """The batches, once."""
    if isinstance(batches, collections.abc.Iterable):
        return iter(batches)
    return (batches[index] for index in range(len(batches)))


def as_tensors(batch: Any) -> tuple[Tensor, Tensor]:
    """Returns a pair of images and labels as tensors."""
    images, labels = batch
    return tf.convert_to_tensor(images), tf.convert_to_tensor(labels)


_DIVERGED = "the search diverged: lower the learning rate, or clip gradients"


def check_part(name: str, part: Any, num_classes: int | None) -> None:
    """Raises an error for arrays that are not finite, and for labels that are not classes.

    Args:
        name: Name of the data in errors.
        part: Data as in `JointSearch.fit`; only pairs of arrays are checked.
        num_classes: Number of classes; None for labels of another kind.
    """
    if is_pair_of_arrays(part):
        images, labels = part
        check_finite(f"{name} images", images)
        check_finite(f"{name} labels", labels)
        if num_classes is not None and np.shape(labels) != (len(labels), num_classes):  # else probabilities
            check_class_indices(f"{name} labels", labels, (len(labels),), num_classes)


def check_step(what: str, value: Any, batch: Any, *, where: str, backup: Any) -> None:
    """Raises an error if a loss or a gradient is NaN or infinite; it says whether the data are.

    Args:
        what: Name of the loss or gradient in errors.
        value: A number or an array.
        batch: Images and labels from which it was computed.
        where: The step and the epoch, as text.
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
