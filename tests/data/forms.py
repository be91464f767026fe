"""The same samples in every form that a user may pass."""

import numpy as np

RNG = np.random.default_rng(0)
X = RNG.normal(size=(10, 3)).astype(np.float32)
Y = RNG.integers(0, 2, 10)


def batches_of(data, size=4):
    """Yields batches of an array, or tuples of those of a tuple of arrays."""
    parts = data if isinstance(data, tuple) else (data,)
    for start in range(0, len(parts[0]), size):
        batch = tuple(part[start : start + size] for part in parts)
        yield batch if isinstance(data, tuple) else batch[0]


class Indexed:
    """What a `PyDataset` of Keras is, as far as it is needed."""

    def __init__(self, data=(X, Y), size=4):
        self._batches = list(batches_of(data, size))

    def __len__(self):
        return len(self._batches)

    def __getitem__(self, index):
        return self._batches[index]


class TorchLike:
    """What a loader of PyTorch looks like from outside."""

    __module__ = "torch.utils.data.dataloader"

    def __len__(self):
        return 1

    def __iter__(self):
        return iter([X])
