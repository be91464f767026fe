"""Recognizes the form of data without importing a Keras."""

import abc
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.checks import received
from tfmp.data.structure import as_arrays, is_array, leaves, map_leaves

FORMS = (
    "an array, a list, tuple or dict of arrays, a `tf.data.Dataset`, a `PyDataset` (`Sequence` in tf_keras), or a "
    "function without arguments that returns an iterator of batches"
)
_TORCH_LIKE = ("torch", "torchvision", "torchdata", "lightning", "pytorch_lightning")
# How to write a function of batches for an object that can be iterated over.
_AS_FUNCTION = "`def batches(): yield from ((x.numpy(), y.numpy()) for x, y in loader)`"


class Source(abc.ABC):
    """Data that can be read repeatedly, in batches: arrays, tuples, lists and dicts of arrays."""

    @abc.abstractmethod
    def elements(self, batch_size: int) -> Iterator[Any]:
        """Yields every batch once; data in batches keep their batch size."""

    @abc.abstractmethod
    def num_batches(self, batch_size: int) -> float | None:
        """Returns the number of batches; None if it is unknown before reading them, `math.inf` if they never end."""


class Arrays(Source):
    """A structure of arrays with one entry per sample.

    Attributes:
        structure: Arrays in tuples, lists and dicts. Arrays in a file (`numpy.memmap`, HDF5) are not loaded.
        num_samples: The length of every array.
    """

    def __init__(self, data: Any, name: str):
        self.structure = as_arrays(data, name)
        arrays = list(leaves(self.structure))
        if not arrays:
            raise ValueError(f"{name} must be {FORMS}. Received: {received(data)}, without arrays")
        if any(len(array.shape) == 0 for array in arrays):
            raise ValueError(
                f"{name} must be arrays with one entry per sample. Received: {type(data).__name__} of the shapes "
                f"{_shapes(arrays)}"
            )
        if len({array.shape[0] for array in arrays}) > 1:
            raise ValueError(
                f"{name} must be arrays of equal length, one for each input. Received: arrays of the shapes "
                f"{_shapes(arrays)}. {JOINED_BATCHES}"
            )
        self.num_samples = arrays[0].shape[0]

    def take(self, indices: Any) -> Any:
        """Returns the structure with the samples of a slice or of an array of indices."""
        return map_leaves(lambda array: np.asarray(array[indices]), self.structure)

    def elements(self, batch_size: int) -> Iterator[Any]:
        for start in range(0, self.num_samples, batch_size):
            yield self.take(slice(start, start + batch_size))

    def num_batches(self, batch_size: int) -> int:
        return -(-self.num_samples // batch_size)


class IndexedBatches(Source):
    """Batches by index, such as a `PyDataset` of Keras 3 or a `Sequence` of tf_keras.

    Attributes:
        count: Number of batches; None if they never end.
    """

    def __init__(self, data: Any, name: str):
        self._data, self._name = data, name
        self.count = len(data) if hasattr(data, "__len__") else data.num_batches

    def take(self, index: int) -> Any:
        """Returns the batch at an index."""
        return as_arrays(self._data[int(index)], self._name)

    def elements(self, batch_size: int) -> Iterator[Any]:
        index = 0
        while self.count is None or index < self.count:
            yield self.take(index)
            index += 1

    def repeated_from(self, position: int) -> Iterator[Any]:
        """Yields the batches over and over, without the first `position` of them."""
        while self.count is None or self.count:
            yield self.take(position if self.count is None else position % self.count)
            position += 1

    def num_batches(self, batch_size: int) -> float:
        return np.inf if self.count is None else self.count


class StreamedBatches(Source):
    """Batches that are read in order: a `tf.data.Dataset`, or the iterator that a function returns at each call."""

    def __init__(self, data: tf.data.Dataset | Callable[[], Iterable[Any]], name: str):
        self._data, self._name = data, name
        if not isinstance(data, tf.data.Dataset):
            _check_function(data, name)

    def elements(self, batch_size: int) -> Iterator[Any]:
        data = self._data
        for batch in data.as_numpy_iterator() if isinstance(data, tf.data.Dataset) else self._called():
            yield as_arrays(batch, self._name)

    def repeated_from(self, position: int) -> Iterator[Any]:
        """Yields the batches over and over, without the first `position` of them."""
        if isinstance(self._data, tf.data.Dataset):
            yield from StreamedBatches(self._data.repeat().skip(position), self._name).elements(1)
            return
        seen = 0
        while True:
            before = seen
            for batch in self.elements(1):
                seen += 1
                if seen > position:
                    yield batch
            if seen == before:
                return

    def num_batches(self, batch_size: int) -> float | None:
        if not isinstance(self._data, tf.data.Dataset):
            return None
        count = int(self._data.cardinality())
        return {tf.data.INFINITE_CARDINALITY: np.inf, tf.data.UNKNOWN_CARDINALITY: None}.get(count, count)

    def _called(self):
        batches = self._data()
        if not isinstance(batches, Iterable) or isinstance(batches, Mapping | str | bytes) or is_array(batches):
            raise TypeError(
                f"{self._name} is a function that must return an iterator of batches, as a function with `yield` does. "
                f"It returned: {received(batches)}"
            )
        return batches


JOINED_BATCHES = (
    "A list is read as one array per input: join batches to one array with `np.concatenate`, samples with `np.stack`, "
    "or give a function that yields batches."
)


def source_of(data: Any, name: str) -> Arrays | IndexedBatches | StreamedBatches:
    """Returns the `Source` of data in any supported form.

    Args:
        data: The data of the user.
        name: Name of the data in errors: "`calibration`".

    Raises:
        TypeError: If the data have another form, or can be read only once.
        ValueError: If arrays have different lengths or no axis of samples.
    """
    if isinstance(data, tf.data.Dataset):
        return StreamedBatches(data, name)
    if is_array(data) or isinstance(data, list | tuple | Mapping):
        return Arrays(data, name)
    if _modules(data) & set(_TORCH_LIKE):
        raise TypeError(
            f"{name} must be {FORMS}. Received: {received(data)} of PyTorch. Give a function of its batches as arrays: "
            f"{_AS_FUNCTION}"
        )
    if hasattr(data, "__next__"):
        raise TypeError(
            f"{name} must be data that can be read more than once. Received: {received(data)}, which can be read once "
            "only. Give the function that makes it, `batches` and not `batches()`, or an array."
        )
    has_length = hasattr(data, "__len__") or hasattr(data, "num_batches")
    if has_length and hasattr(data, "__getitem__") and not isinstance(data, str | bytes | type):
        return IndexedBatches(data, name)
    if callable(data) and not _modules(data) & {"keras", "tf_keras"}:  # a model is not a function of batches
        return StreamedBatches(data, name)
    is_loader = isinstance(data, Iterable) and not isinstance(data, str | bytes)
    way_out = f". Give a function of its batches: {_AS_FUNCTION}" if is_loader else ""
    raise TypeError(f"{name} must be {FORMS}. Received: {received(data)}{way_out}")


def as_dataset(data: Any, name: str) -> Any:
    """Returns a `tf.data.Dataset` for a function of batches, so that Keras can `fit` it; other data unchanged."""
    source = source_of(data, name)
    if not isinstance(source, StreamedBatches) or isinstance(data, tf.data.Dataset):
        return data

    def elements():  # TensorFlow reads a list as one tensor
        yield from (_with_tuples(batch) for batch in source.elements(1))

    first = next(elements(), None)
    if first is None:
        raise ValueError(f"{name} must hold at least one batch. Received none.")
    specification = map_leaves(lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), first)
    return tf.data.Dataset.from_generator(elements, output_signature=specification)


def _with_tuples(structure):
    if isinstance(structure, Mapping):
        return {key: _with_tuples(value) for key, value in structure.items()}
    if isinstance(structure, list | tuple):
        return tuple(_with_tuples(value) for value in structure if value is not None)
    return structure


def _check_function(function, name):
    try:
        inspect.signature(function).bind()
    except TypeError:
        raise TypeError(
            f"{name} must be {FORMS}. Received: {received(function)}, which needs arguments. `functools.partial` or a "
            "`lambda` gives them."
        ) from None
    except ValueError:  # a function written in C has no signature
        return


def _modules(data):
    return {base.__module__.partition(".")[0] for base in type(data).__mro__}


def _shapes(arrays):
    return ", ".join(str(tuple(array.shape)) for array in arrays[:4]) + (", ..." if len(arrays) > 4 else "")
