"""Loading saved models of either Keras."""

import importlib
import importlib.util
import json
import os
import zipfile

import h5py


def load_model(path, **arguments):
    """Loads a saved model whose layers may be ours, into the Keras that saved it.

    Args:
        path: A `.keras` or `.h5` file, or the folder of a SavedModel. What tf_keras saved is loaded by tf_keras where
            that is installed.
        **arguments: As in `keras.saving.load_model`, or `tf_keras.models.load_model`.
    """
    binding = "keras2" if _is_of_keras_2(os.fspath(path)) and importlib.util.find_spec("tf_keras") else "keras3"
    return importlib.import_module(f"tfmp.bindings.{binding}.load_model").load_model(path, **arguments)


def _is_of_keras_2(path):
    if os.path.isdir(path):
        return os.path.exists(os.path.join(path, "saved_model.pb"))
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "metadata.json" not in archive.namelist():
                return False
            version = json.loads(archive.read("metadata.json")).get("keras_version", "")
    elif os.path.isfile(path) and h5py.is_hdf5(path):
        with h5py.File(path) as file:
            version = file.attrs.get("keras_version", "")
    else:
        return False
    return str(version).startswith("2.")
