"""Data from which bits are chosen, while others train the weights."""

import functools

import numpy as np
import tensorflow as tf

from tfmp.types.checks import check_integer


class SelectionData:
    """Held-out data on which a search moves its logits, batch by batch, with how and when it does so.

    Which batch a selection step takes follows from `seed` and from how many such steps there were before it, over all
    epochs: a resumed search goes on with the batch that the killed one would have taken. `class_weight` of `fit` is
    that of the training steps alone; here a `sample_weight` does the same.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)` of arrays or structures of arrays; a `tf.data.Dataset` of such
            batches; or batches with a length and an index, as a `PyDataset` or a `Sequence` of Keras.
        batch_size: Samples in a batch of arrays; the others come in batches.
        every: How many training steps go before each selection step, counted over all epochs.
        seed: Integer: arrays are shuffled, and batches with an index are taken, in a new order in each pass over the
            data. A data set of TensorFlow keeps its own order; to resume is exact if that order is the same in every
            run.

    Raises:
        ValueError: If the data are empty or of another form, or a number is not positive.

    Example:
        >>> data = SelectionData((np.zeros((8, 3)), np.zeros(8)), batch_size=4)
        >>> data.batch(0)[0].shape
        (4, 3)
    """

    def __init__(self, data, *, batch_size=32, every=1, seed=0):
        batch_size = check_integer("batch_size", batch_size, at_least=1)
        self.every = check_integer("every", every, at_least=1)
        self.seed = check_integer("seed", seed, at_least=0)
        if isinstance(data, tf.data.Dataset):
            self._batches = _InOrder(data)
        elif isinstance(data, tuple | list):
            self._batches = _Shuffled(*_slices(data, batch_size), seed)
        elif hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, np.ndarray | dict):
            self._batches = _Shuffled(lambda order: data[int(order[0])], len(data), 1, seed)
        else:
            raise ValueError(
                "Selection data must be `(x, y)` of arrays, a `tf.data.Dataset`, or batches with a length and an "
                f"index. Received: {type(data).__name__}"
            )

    @classmethod
    def of(cls, data):
        """Returns the data themselves, or data of the defaults of this class."""
        return data if isinstance(data, cls) else cls(data)

    def batch(self, position):
        """Returns `(x, y, sample_weight)` of the selection step with that number, from 0; the last may be None."""
        batch = self._batches[position]
        if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
            raise ValueError(
                "A batch of selection data must be `(x, y)` or `(x, y, sample_weight)`. "
                f"Received: {type(batch).__name__}"
            )
        return (*batch, None)[:3]


class _Shuffled:
    """Batches of `size` items each, every pass in an order of its own; the items of a last, smaller batch wait."""

    def __init__(self, take, count, size, seed):
        if count == 0:
            raise ValueError("Selection data must hold at least one sample or batch. Received none.")
        self._take, self._count, self._size, self._seed = take, count, min(size, count), seed
        self._order = functools.lru_cache(1)(self._shuffled)

    def __getitem__(self, position):
        number, index = divmod(position, self._count // self._size)
        return self._take(self._order(number)[index * self._size : (index + 1) * self._size])

    def _shuffled(self, number):
        return np.random.default_rng((self._seed, number)).permutation(self._count)


class _InOrder:
    """The batches of a data set, over and over."""

    def __init__(self, dataset):
        self._dataset, self._iterator, self._next = dataset, None, 0

    def __getitem__(self, position):
        if self._iterator is None or position != self._next:
            self._iterator = iter(self._dataset.repeat().skip(position))
        try:
            batch = next(self._iterator)
        except StopIteration:
            raise ValueError("Selection data must hold at least one batch. Received none.") from None
        self._next = position + 1
        return batch


def _slices(data, batch_size):
    """A function that takes samples by their indices, how many samples there are, and how many make a batch."""
    if len(data) not in (2, 3):
        raise ValueError(f"Selection data must be `(x, y)` or `(x, y, sample_weight)`. Received {len(data)} parts.")
    arrays = tf.nest.map_structure(np.asarray, tuple(data))
    lengths = {len(array) if array.ndim else None for array in tf.nest.flatten(arrays)}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(
            "Selection data must be arrays of equal length. Received the shapes "
            f"{', '.join(str(array.shape) for array in tf.nest.flatten(arrays))}."
        )
    return lambda indices: tf.nest.map_structure(lambda array: array[indices], arrays), lengths.pop(), batch_size
