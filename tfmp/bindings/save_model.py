"""Saving models of either Keras whole or not at all."""

import os


def save_model(model, path):
    """Saves a model beside its final name and renames it, so that no reader ever sees half of it.

    Args:
        model: A model of either Keras.
        path: A `.keras` file; one that exists is replaced.
    """
    _save(model.save, os.fspath(path), ".keras")


def save_weights(model, path):
    """Saves the weights of a model likewise.

    Args:
        model: A model of either Keras.
        path: A `.weights.h5` file; one that exists is replaced.
    """
    _save(model.save_weights, os.fspath(path), ".weights.h5")


def _save(save, path, suffix):
    # Keras wants its suffix; the process id keeps two writers of one file apart.
    beside = f"{path.removesuffix(suffix)}.{os.getpid()}.tmp{suffix}"
    try:
        save(beside)
        os.replace(beside, path)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise
