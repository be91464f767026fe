"""Saves models of either Keras atomically."""

import os

from tfmp.annotations import KerasModel
from tfmp.files.atomic_file import replacement


def save_model(model: KerasModel, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Saves a model atomically: readers never see a partial file.

    Args:
        model: A model of either Keras.
        path: A `.keras` file.
        overwrite: False to refuse to replace an existing file.

    Raises:
        OSError: See `tfmp.files.atomic_file.replacement`.
    """
    with replacement(path, overwrite, suffix=".keras") as beside:
        model.save(beside)


def save_weights(model: KerasModel, path: str | os.PathLike[str]) -> None:
    """Saves the weights of a model atomically; an existing `.weights.h5` file is replaced."""
    with replacement(path, True, suffix=".weights.h5") as beside:
        model.save_weights(beside)
