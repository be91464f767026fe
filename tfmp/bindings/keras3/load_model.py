"""Loads saved Keras 3 models."""

import keras

from tfmp.bindings.keras3 import layers, optimizer  # noqa: F401 (registers the classes)
from tfmp.bindings.saving.load_model import check_loadable, loading_error
from tfmp.bindings.saving.model_file import read_model_file


def load_model(path, *, custom_objects=None, compile=True, safe_mode=True):
    """Loads a saved model of Keras 3; arguments and errors as in `tfmp.load_model`."""
    file = read_model_file(path)
    options = {"custom_objects": custom_objects, "compile": compile, "safe_mode": safe_mode}
    check_loadable(file, keras, **options)
    try:
        return keras.saving.load_model(file.path, **options)
    except Exception as error:  # whatever Keras or a class of the user raises
        raise loading_error(file.path, error, compile=compile) from error
