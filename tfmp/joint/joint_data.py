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
    """Returns what has as many pairs of images and labels as `len` says, read by an index or by `iter`.

    Args:
        data: A pair of arrays; such batches, a `keras.utils.PyDataset`, a list or a `tf.data.Dataset` of known length
            for example; or a function of the epoch that returns them.
        epoch: Number of the epoch, from 0.
        batch_size: Of arrays, whose last images are left out where they are fewer.
        seed: Integer, for the order of arrays.

    Raises:
        ValueError: If there are fewer images than a batch holds, or not as many labels as images.
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
    """True for images and labels as arrays, False for batches of them."""
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
    """A pair of images and labels as tensors."""
    images, labels = batch
    return tf.convert_to_tensor(images), tf.convert_to_tensor(labels)


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
