"""Loading saved tf_keras models with our layers in them."""

import tf_keras

from tfmp.bindings.keras2 import layers, optimizer  # noqa: F401 (registers the classes)


def load_model(path, **arguments):
    """Loads a saved model whose layers may be ours.

    Args:
        path: A `.keras` or `.h5` file, or the folder of a SavedModel.
        **arguments: As in `tf_keras.models.load_model`.
    """
    return tf_keras.models.load_model(path, **arguments)
