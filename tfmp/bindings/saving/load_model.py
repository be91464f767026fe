"""Loads saved models of either Keras, and saves them atomically."""

import importlib.util
import os
import sys
from collections.abc import Mapping
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_named
from tfmp.bindings.saving.model_file import ModelFile, read_model_file
from tfmp.bindings.saving.model_trust import check_trusted
from tfmp.checks import check_flag
from tfmp.files.atomic_file import replacement

_MESSAGE_LENGTH = 300


def load_model(
    path: str | os.PathLike[str],
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> KerasModel:
    """Loads a saved model, which may have layers of tfmp, with the Keras that saved it.

    The configuration in the file is checked first: a model that cannot be built without running code from the file is
    refused, see docs/trust.md. tf_keras itself refuses it only in some formats.

    Args:
        path: A `.keras` or `.h5` file, or the folder of a SavedModel. Models of tf_keras need tf_keras to be installed.
        custom_objects: Classes and functions by name that the model needs, if they are not registered with Keras.
        compile: Whether to restore the optimizer, the loss and the metrics.
        safe_mode: False to load a model that contains code, such as `Lambda` layers; loading it runs that code.

    Returns:
        The model, of Keras 3 or tf_keras.

    Raises:
        OSError: If there is no such file, or it cannot be read.
        ValueError: If it is not a Keras model, is damaged, contains code, or cannot be built; the message says which.
        ImportError: If tf_keras is missing for a SavedModel.

    Example:
        >>> model = tfmp.load_model("model.keras", compile=False)
    """
    file = read_model_file(path)
    has_keras_2 = importlib.util.find_spec("tf_keras") is not None
    if file.container == "saved_model" and not has_keras_2:
        raise ImportError(f"{file.path!r} is a SavedModel, which tf_keras loads: `pip install 'tfmp[keras2]'`.")
    framework = framework_named("tf_keras" if file.is_of_keras_2 and has_keras_2 else "keras")
    return load_file(framework, file, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)


def load_file(
    framework: Any, file: ModelFile, *, custom_objects: Mapping[str, Any] | None, compile: bool, safe_mode: bool
) -> KerasModel:
    """Loads a saved model into a framework; arguments and errors as in `load_model`."""
    file = framework.completed_file(file, custom_objects=custom_objects, safe_mode=safe_mode)
    options = {"custom_objects": custom_objects, "compile": compile, "safe_mode": safe_mode}
    _check_loadable(file, framework.package, **options)
    try:
        return framework.load_file(file, **options)
    except Exception as error:  # Keras or a class of the user may raise any exception
        raise _loading_error(file.path, error, compile=compile) from error


def _check_loadable(file, package, *, custom_objects, compile, safe_mode):
    """Raises an error for files that a Keras cannot load, or not without running code."""
    check_flag("compile", compile)
    ending = {"zip": (".keras",), "hdf5": (".h5", ".hdf5")}.get(file.container, ())
    if file.container == "hdf5" and package.__name__ == "tf_keras":
        ending = ()  # the check looks at the content
    if ending and not file.path.endswith(ending):
        raise ValueError(
            f"{file.path!r} holds a model as files that end in {ending[0]} do, and Keras goes by the name. Rename it."
        )
    if not check_flag("safe_mode", safe_mode):
        return

    def is_provided(name, module):
        if package.saving.get_registered_object(name, custom_objects=custom_objects) is not None:
            return True
        # tf_keras finds classes by module and name, even if they are not registered.
        module = sys.modules.get(module) if package.__name__ == "tf_keras" and isinstance(module, str) else None
        member = getattr(module, name, None)
        return isinstance(member, type) and issubclass(member, package.layers.Layer)

    config = dict(file.config)
    if not compile:
        config.pop("compile_config", None)
    check_trusted(file.path, config, is_provided)
    if compile:
        check_trusted(file.path, file.training_config, is_provided)


def _loading_error(path, error, *, compile):
    """Returns the error for a file that a framework could not load."""
    text = " ".join(str(error).partition("Full object config")[0].split()) or type(error).__name__
    text = text if len(text) <= _MESSAGE_LENGTH else f"{text[:_MESSAGE_LENGTH]}..."
    hint = " If only its compiled state is at fault, pass compile=False." if compile else ""
    return ValueError(f"{path!r} cannot be loaded: {text.rstrip('.')}.{hint}")


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
