"""Reads the data of `tfmp compress`, in each of its forms."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from tfmp.annotations import KerasModel

FORMS = (
    "an .npz file with x_train (for several inputs x_train/NAME each) and y_train, class indices, and perhaps x_test "
    "and y_test; a folder of images with a subfolder for each class; a .csv file of features with a column `label`; or "
    "module:function, a function that returns such arrays"
)


def load_labelled(source: str, model: KerasModel) -> Any:
    """Returns the labelled data of a file, a folder or a function, as `tfmp.compress` takes them.

    Args:
        source: One of `FORMS`.
        model: The model, whose input says how large images are.

    Raises:
        OSError: If there is no such file, or it cannot be read.
        ValueError: If it has another form, or is damaged.
    """
    from tfmp.data.array_files import load_arrays
    from tfmp.data.labelled_files import load_feature_table, load_image_folder

    if os.path.isdir(source):
        return load_image_folder(source, tuple(model.inputs[0].shape[1:]))
    if source.endswith(".csv"):
        return load_feature_table(source)
    if source.endswith(".npz") or os.path.exists(source):
        return load_arrays(source, "x_train", "y_train")
    if ":" in source:
        return named_function(source, "returns (x, y), or a dict of x_train and y_train")()
    raise FileNotFoundError(f"There is no file or folder {source!r}. Expected {FORMS}.")


def named_function(name: str, what: str) -> Callable[..., Any]:
    """Returns the function that `module:function` names, also in a module of the current folder.

    Args:
        name: The name.
        what: What the function does, for the error.

    Raises:
        ValueError: If there is no such module or function.
    """
    module, _, function = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"Expected module:function, which {what}. {error}") from error
