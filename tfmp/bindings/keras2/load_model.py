"""Loads saved tf_keras models."""

import tf_keras

from tfmp.bindings.keras2 import layers, optimizer, saved_model  # noqa: F401 (registers the classes)
from tfmp.bindings.saving.load_model import check_loadable, loading_error
from tfmp.bindings.saving.model_file import read_model_file


def load_model(path, *, custom_objects=None, compile=True, safe_mode=True):
    """Loads a saved model of tf_keras; arguments and errors as in `tfmp.load_model`.

    In safe mode a SavedModel is built from its configuration and the values of its variables: the TensorFlow graph in
    it is a program, parts of which run as soon as it is loaded.
    """
    file = read_model_file(path)
    is_rebuilt = file.container == "saved_model" and safe_mode
    if is_rebuilt:
        file = saved_model.with_configuration(file, custom_objects)
    options = {"custom_objects": custom_objects, "compile": compile, "safe_mode": safe_mode}
    check_loadable(file, tf_keras, **options)
    try:
        if is_rebuilt:
            return saved_model.rebuild(file, custom_objects, compile)
        return tf_keras.models.load_model(file.path, **options)
    except Exception as error:  # whatever tf_keras or a class of the user raises
        raise loading_error(file.path, error, compile=compile) from error
