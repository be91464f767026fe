"""Reads the models and data that commands are given."""

import argparse
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfmp.annotations import KerasModel
from tfmp.files.json_record import read_text

if TYPE_CHECKING:  # which is slow to import
    from tfmp.simulator import Hardware


def add_trust(command: argparse.ArgumentParser) -> None:
    """Adds `--trust` to a command that loads models."""
    command.add_argument(
        "--trust",
        action="store_true",
        help="load the model even if it contains code, such as Lambda layers, and run that code",
    )


def add_overwrite(command: argparse.ArgumentParser) -> None:
    """Adds `--overwrite` to a command that writes files."""
    command.add_argument("--overwrite", action="store_true", help="replace files that exist")


def load_model_file(path: str, trust: bool) -> KerasModel:
    """Loads a model of either Keras without its compiled state, which may need a custom loss.

    Args:
        path: The file.
        trust: Whether to load a model that contains code.
    """
    from tfmp.bindings.framework import framework_name, framework_named
    from tfmp.bindings.saving.load_model import load_model

    model = load_model(path, compile=False, safe_mode=not trust)
    try:
        framework_named(framework_name(model)).check_readable(model)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path!r}: {error}") from error
    return model


def load_arrays(path: str, *needed: str) -> dict[str, Any]:
    """Returns the arrays of an .npz file by name; `x_train/left` and `x_train/right` become a dict `x_train`."""
    import numpy as np

    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path!r}. Expected an .npz file with the data.")
    try:
        if not zipfile.is_zipfile(path):  # what else NumPy reads, a single array or a pickle, has no named arrays
            raise zipfile.BadZipFile("File is not a zip file")
        with np.load(path) as arrays:
            named = {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, KeyError, struct.error, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"Expected an .npz file, as `numpy.savez` writes it. Received: {path!r}, which cannot "
            f"be read ({error}). Write it again."
        ) from error
    for name in [name for name in named if "/" in name]:
        part, _, of = name.partition("/")
        if not isinstance(named.setdefault(part, {}), dict):
            raise ValueError(f"Expected either {part} or {part}/NAME for each input in {path!r}. Received both.")
        named[part][of] = named.pop(name)
    missing = [name for name in needed if name not in named]
    if missing:
        raise ValueError(f"Expected {', '.join(needed)} in {path!r}. Missing: {', '.join(missing)}")
    return named


def check_classification(
    data: Mapping[str, Any], model: KerasModel, parts: Sequence[str] = ("train", "test")
) -> dict[str, Any]:
    """Checks inputs and labels for a classifier before any work, and returns them.

    Args:
        data: Name to array, or to a dict of arrays by input, as `load_arrays` returns them.
        model: The classifier.
        parts: The names to check, of `x_train` and `y_train`, `x_test` and `y_test`.

    Returns:
        The same names to labels, and to inputs in the structure of the model's inputs.
    """
    from tfmp.bindings.framework import framework_of
    from tfmp.data.batches import num_samples
    from tfmp.data.model_inputs import ModelInputs
    from tfmp.data.source import leaves
    from tfmp.files.finite_values import check_class_indices, check_finite

    if len(model.outputs) != 1:
        raise ValueError(f"Expected a classifier with one output. Received a model with {len(model.outputs)}.")
    inputs = ModelInputs.of(framework_of(model).read(model, weights=False))
    checked: dict[str, Any] = {}
    *places, classes = model.outputs[0].shape[1:]
    for part in parts:
        x, y = f"x_{part}", f"y_{part}"
        for array in leaves(data[x]):
            check_finite(x, array)
        arrays = inputs.named(data[x], f"`{x}`")
        lengths = {len(array) for array in arrays.values()}
        if len(lengths) > 1 or lengths == {0}:
            raise ValueError(
                f"`{x}` must hold one or more samples for every input. Received: {sorted(lengths)} samples"
            )
        check_class_indices(y, data[y], (num_samples(arrays), *places), classes)
        checked |= {x: inputs.arranged(arrays), y: data[y]}
    return checked


def arranged(inputs: Any, model: KerasModel, name: str) -> Any:
    """Returns inputs in the structure of a model's inputs: an array, a list or a dict.

    Args:
        inputs: An array, or a dict of arrays by input.
        model: The model.
        name: Name of the inputs in errors.
    """
    from tfmp.bindings.framework import framework_of
    from tfmp.data.model_inputs import ModelInputs

    model_inputs = ModelInputs.of(framework_of(model).read(model, weights=False))
    return model_inputs.arranged(model_inputs.named(inputs, name))


def load_inputs(path: str) -> Any:
    """Returns the inputs to run a model on: `x_test` if present, otherwise `x_train`."""
    data = load_arrays(path)
    for name in ("x_test", "x_train"):
        if name in data:
            return data[name]
    raise ValueError(f"Expected x_test or x_train in {path!r}. Received: {', '.join(data)}")


def read_labels(path: str) -> list[str]:
    """Returns the lines of a text file."""
    try:
        return read_text(path).splitlines()
    except ValueError as error:
        raise ValueError(
            f"Expected a text file with the name of one class a line. Received: {path!r}: {error}"
        ) from error


def load_hardware(name: str) -> "Hardware":
    """Returns a simulated machine, from the name of a preset or a JSON file."""
    from tfmp.simulator import Hardware

    return Hardware.from_json(name) if name.endswith(".json") else Hardware.from_preset(name)
