"""Loading saved models with our layers in them."""

import keras

from tfmp.bindings.keras3 import layers, optimizer  # noqa: F401 (registers the classes)


def load_model(path, **arguments):
    """Loads a saved model whose layers may be ours.

    Args:
        path: A `.keras` file, or an `.h5` file of Keras.
        **arguments: As in `keras.saving.load_model`.
    """
    return keras.saving.load_model(path, **arguments)
