"""Reads the configuration of a saved model without loading it."""

import dataclasses
import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import h5py

_EXPECTED = "Expected a Keras model: a `.keras` or `.h5` file, or the folder of a SavedModel"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PICKLE_SIGNATURES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
SAVED_MODEL_METADATA = "keras_metadata.pb"
_FROM_KERAS = "Give the Keras model that it was made from"


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """Metadata and configuration of a saved model.

    Args:
        path: Path of the file.
        container: `"zip"`, `"hdf5"`, `"folder"` (a `.keras` file unpacked) or `"saved_model"`.
        keras_version: Version of the Keras that saved it, empty if unknown.
        config: The configuration from which the layers are built. None for a SavedModel, which only tf_keras can read.
        training_config: The compiled state of an HDF5 file; elsewhere it is part of `config`.
    """

    path: str
    container: str
    keras_version: str = ""
    config: Mapping[str, Any] | None = None
    training_config: Mapping[str, Any] | None = None

    @property
    def is_of_keras_2(self) -> bool:
        """True if tf_keras, or the Keras before it, saved the model."""
        return self.container == "saved_model" or self.keras_version.startswith("2.")


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Reads the configuration of a saved model, whose format follows from the content, not the name.

    Raises:
        TypeError: If `path` is not a path.
        OSError: If there is no such file, or it cannot be read.
        ValueError: If it is not a Keras model; the message says what it is, and what to do.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"`path` must be the path of a saved model. Received: {path!r}")
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path!r}. {_EXPECTED}.")
    if os.path.isdir(path):
        return _read_folder(path)
    with open(path, "rb") as file:
        start = file.read(8)
    is_zip = zipfile.is_zipfile(path)
    if h5py.is_hdf5(path):
        if is_zip:  # Keras would decide by the name, and load content that was not checked
            raise not_a_model(path, "is an HDF5 file and a zip archive at once", "Save the model again")
        return _read_hdf5(path)
    if is_zip:
        return _read_zip(path)
    raise not_a_model(path, *_foreign(path, start))


def not_a_model(path: str | os.PathLike[str], what: str, way_out: str) -> ValueError:
    """Returns the error that says what a file is instead of a Keras model."""
    return ValueError(f"{path!r} {what}. {_EXPECTED}. {way_out}.")


def is_saved_model(path: str | os.PathLike[str]) -> bool:
    """Returns True for the folder of a SavedModel."""
    return os.path.exists(os.path.join(path, "saved_model.pb"))


def _read_folder(path):
    if is_saved_model(path):
        if os.path.exists(os.path.join(path, SAVED_MODEL_METADATA)):
            return ModelFile(path, "saved_model")
        what = "is a SavedModel without a Keras model in it, as `model.export` or TensorFlow before 2.5 writes it"
        raise not_a_model(path, what, 'Save the model itself, `model.save("model.keras")`')
    config = os.path.join(path, "config.json")
    if not os.path.exists(config):
        raise not_a_model(path, "is a folder without a model in it", "Give the file in it, or the SavedModel's folder")
    with open(config, "rb") as file:
        content = file.read()
    version = ""
    if os.path.exists(os.path.join(path, "metadata.json")):
        with open(os.path.join(path, "metadata.json"), "rb") as file:
            version = _parsed(path, file.read()).get("keras_version", "")
    return ModelFile(path, "folder", str(version), _parsed(path, content))


def _read_zip(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "config.json" not in names:
                raise not_a_model(path, *_foreign_archive(names))
            config = _parsed(path, archive.read("config.json"))
            metadata = _parsed(path, archive.read("metadata.json")) if "metadata.json" in names else {}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise _damaged(path, "zip archive") from error
    return ModelFile(path, "zip", str(metadata.get("keras_version", "")), config)


def _read_hdf5(path):
    try:
        with h5py.File(path) as file:
            texts = {name: file.attrs.get(name) for name in ("model_config", "training_config", "keras_version")}
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        raise _damaged(path, "HDF5 file") from error
    if texts["model_config"] is None:
        raise not_a_model(
            path,
            "holds weights but no model, as `model.save_weights` leaves it",
            'Build the model in Python, call `load_weights` and then `save("model.keras")`',
        )
    training = texts["training_config"]
    version = texts["keras_version"]
    version = version.decode(errors="replace") if isinstance(version, bytes) else str(version or "")
    config = _parsed(path, texts["model_config"])
    return ModelFile(path, "hdf5", version, config, None if training is None else _parsed(path, training))


def _parsed(path, text):
    try:
        content = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(path, "model: its configuration is no JSON") from error
    if not isinstance(content, dict):
        raise _damaged(path, "model: its configuration is no JSON object")
    return content


def _damaged(path, what):
    return not_a_model(path, f"is a damaged {what}", "Copy or save it again")


def _foreign(path, start):
    """Returns what a file of another format is, and what to do."""
    suffix = os.path.splitext(path)[1].lower()
    if not start:
        return "is empty", "Copy or save it again"
    if start.startswith((b"PK", _HDF5_SIGNATURE)):
        return "is cut off or damaged", "Copy or save it again"
    if start[4:8] == b"TFL3":
        return "is a TFLite file", _FROM_KERAS
    if suffix == ".onnx":
        return "is an ONNX file", _FROM_KERAS
    if start.startswith(_PICKLE_SIGNATURES) or suffix in (".pt", ".pth"):
        return "is a PyTorch file or another pickle, which tfmp never opens", "Build the network in Keras"
    if os.path.basename(path) == "saved_model.pb":
        return "is only a part of a SavedModel", "Give its folder"
    return "is of no format that Keras saves models in", "Save the model with `model.save`"


def _foreign_archive(names):
    if any(name.endswith("data.pkl") for name in names):
        return "is a PyTorch file", "Build the network in Keras"
    if names and all(name.endswith(".npy") for name in names):
        return "holds arrays, as `numpy.savez` writes them", "Give the model first, then the data"
    return "is a zip archive without a model in it", "Save the model with `model.save`"
