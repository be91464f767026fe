"""The labelled data of a classifier, divided into the parts that a compression needs."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.checks import received
from tfmp.data.structure import leaves, map_leaves
from tfmp.transform.classification_data import check_classification

_VALIDATION_SHARE, _MOST_VALIDATION = 0.2, 2000
_NAMES = ("x_train", "y_train", "x_test", "y_test")
_FORMS = "(x, y), ((x_train, y_train), (x_test, y_test)), or a dict of x_train, y_train and perhaps x_test, y_test"


@dataclasses.dataclass(frozen=True)
class LabelledSamples:
    """Inputs and class indices: to train on, to choose by, and to measure the result on.

    Args:
        train: Inputs and labels for ranges, sensitivities and training.
        validation: Those by which ways are compared: half of the test samples, which the model has not seen, or else a
            fifth of the training samples, held out.
        test: Those on which the result is measured: the other half of the test samples, or else `validation`.
        has_test: Whether test samples were given.
    """

    train: tuple[Any, np.ndarray]
    validation: tuple[Any, np.ndarray]
    test: tuple[Any, np.ndarray]
    has_test: bool

    @classmethod
    def of(cls, data: Any, model: KerasModel, *, seed: int = 0) -> "LabelledSamples":
        """Checks data for a model, and divides them at random; the same seed gives the same parts.

        Args:
            data: `(x, y)`, `((x_train, y_train), (x_test, y_test))`, or a mapping with the keys of a data file. Inputs
                are an array, or a structure of arrays for several inputs.
            model: The classifier.
            seed: Integer that determines the parts.

        Raises:
            TypeError: If the data have another form.
            ValueError: If they do not fit the model, or there are too few.
        """
        named = _named(data)
        has_test = "x_test" in named and "y_test" in named
        checked = check_classification(named, model, ("train", "test") if has_test else ("train",))
        x, y = checked["x_train"], np.asarray(checked["y_train"])
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(y))
        if has_test:
            unseen, labels = checked["x_test"], np.asarray(checked["y_test"])
            halves = np.array_split(rng.permutation(len(labels)), 2)
            if len(halves[1]) == 0:
                raise ValueError("Expected two or more test samples: half of them choose the way. Received: 1.")
            validation, test = (_taken(unseen, labels, half) for half in halves)
            return cls(_taken(x, y, order), validation, test, has_test)
        count = min(int(_VALIDATION_SHARE * len(y)), _MOST_VALIDATION)
        if count < 2:
            raise ValueError(
                f"Expected 10 samples or more, of which a fifth is held out to compare by. Received: {len(y)}. Give "
                "more, or test samples."
            )
        held_out = _taken(x, y, order[:count])
        return cls(_taken(x, y, order[count:]), held_out, held_out, has_test)

    def inputs(self, count: int) -> Any:
        """Returns the first inputs to train on, which are in random order."""
        return map_leaves(lambda array: array[:count], self.train[0])

    @property
    def arrays(self) -> list[Any]:
        """All arrays, for the identity of a run."""
        return [*leaves(self.train), *leaves(self.validation), *leaves(self.test)]


def _taken(x, y, indices):
    return map_leaves(lambda array: np.asarray(array[indices]), x), y[indices]


def _named(data: Any) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        missing = [name for name in _NAMES[:2] if name not in data]
        if missing:
            raise ValueError(f"Expected data with {', '.join(_NAMES[:2])}. Missing: {', '.join(missing)}.")
        return {name: data[name] for name in _NAMES if name in data}
    if isinstance(data, tuple | list) and len(data) == 2:
        if all(isinstance(part, tuple | list) and len(part) == 2 for part in data):
            return dict(zip(_NAMES, (*data[0], *data[1]), strict=True))
        return dict(zip(_NAMES[:2], data, strict=True))
    raise TypeError(f"`data` must be {_FORMS}. Received: {received(data)}")
