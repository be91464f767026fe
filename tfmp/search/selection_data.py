"""Separate data for training the logits."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tfmp.checks import check_integer
from tfmp.data.batches import parts_of
from tfmp.data.source import Arrays, IndexedBatches, StreamedBatches, leaves, source_of
from tfmp.files.finite_values import check_finite
from tfmp.files.run_identity import described

_NAME = "`selection_data`"


class SelectionData:
    """Held-out data on which a search trains its logits, with the batch size and the frequency of these steps.

    The batch of a selection step depends only on `seed` and on the number of selection steps before it, over all
    epochs: a resumed search continues with the batch that the killed one would have used. `class_weight` of `fit`
    applies only to training steps; here, use a `sample_weight`.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)` of arrays or structures of arrays; or such batches: a
            `tf.data.Dataset`, a `PyDataset` or `Sequence` of Keras, a function that returns an iterator of them.
        batch_size: Samples in a batch of arrays; other data are already in batches.
        every: Number of training steps before each selection step, counted over all epochs.
        seed: Integer: arrays, and batches with an index, have a new random order in each pass over the data. A data
            set of TensorFlow and a function keep their own order; resuming is exact if it is the same in every run.

    Raises:
        ValueError: If the data are empty or have no targets, arrays are not finite, or a number is not positive.
        TypeError: If the data have another form, or can be read only once.

    Example:
        >>> data = SelectionData((np.zeros((8, 3)), np.zeros(8)), batch_size=4)
        >>> data.batch(0)[0].shape
        (4, 3)
    """

    def __init__(self, data: Any, *, batch_size: int = 32, every: int = 1, seed: int = 0):
        self._batch_size = check_integer("batch_size", batch_size, at_least=1)
        self.every = check_integer("every", every, at_least=1)
        self.seed, self._data = check_integer("seed", seed, at_least=0), data
        source = source_of(data, _NAME)
        self._batches: _Shuffled | _InOrder
        if isinstance(source, Arrays):
            parts_of(source.take(slice(0, 1)), _NAME)
            for array in leaves(source.structure):
                check_finite("selection_data", array)
            self._batches = _Shuffled(source.take, source.num_samples, self._batch_size, seed)
        elif isinstance(source, IndexedBatches) and source.count is not None:
            self._batches = _Shuffled(lambda order: source.take(order[0]), source.count, 1, seed)
        else:
            self._batches = _InOrder(source)

    @classmethod
    def of(cls, data: Any) -> "SelectionData":
        """Returns the argument if it is of this class, otherwise its data with the default settings."""
        return data if isinstance(data, cls) else cls(data)

    def identity(self) -> dict[str, Any]:
        """JSON that is equal for equal data: the number of batches, or all values of arrays."""
        settings = {"every": self.every, "seed": self.seed, "batch_size": self._batch_size}
        return {**settings, "data": described(self._data)}

    def batch(self, position: int) -> tuple[Any, Any, Any]:
        """Returns `(x, y, sample_weight)` of the selection step at a position, from 0; `sample_weight` may be None."""
        return parts_of(self._batches[position], _NAME)


class _Shuffled:
    """Batches of `size` items in a new random order in each pass; a last, smaller batch is omitted."""

    def __init__(self, take: Callable[[np.ndarray], Any], count: int, size: int, seed: int):
        if count == 0:
            raise ValueError(f"{_NAME} must hold at least one sample or batch. Received none.")
        self._take, self._count, self._size, self._seed = take, count, min(size, count), seed
        self._order = functools.lru_cache(1)(self._shuffled)

    def __getitem__(self, position: int) -> Any:
        number, index = divmod(position, self._count // self._size)
        return self._take(self._order(number)[index * self._size : (index + 1) * self._size])

    def _shuffled(self, number: int) -> np.ndarray:
        return np.random.default_rng((self._seed, number)).permutation(self._count)


class _InOrder:
    """Batches that are read in their order, repeatedly."""

    def __init__(self, source: IndexedBatches | StreamedBatches):
        self._source, self._next = source, 0
        self._iterator: Iterator[Any] | None = None

    def __getitem__(self, position: int) -> Any:
        if self._iterator is None or position != self._next:
            self._iterator = self._source.repeated_from(position)
        try:
            batch = next(self._iterator)
        except StopIteration:
            raise ValueError(f"{_NAME} must hold at least one batch. Received none.") from None
        self._next = position + 1
        return batch
