"""Reads the models and data that commands are given, and adds the arguments about them."""

import argparse
from typing import TYPE_CHECKING, Any

from tfmp.annotations import KerasModel
from tfmp.data.array_files import load_arrays
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


def add_integer_only(command: argparse.ArgumentParser) -> None:
    """Adds `--integer_only` to a command that quantizes a model."""
    command.add_argument(
        "--integer_only", action="store_true", help="refuse a model with layers that would run in floating point"
    )


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
