"""The network and file that one way of a compression gave, in a folder."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.saving.load_model import load_model, save_model
from tfmp.compression.compression_folder import ASSIGNMENT, FILE, MODEL
from tfmp.files.atomic_file import new_folder, write_atomically
from tfmp.files.json_record import read_json
from tfmp.graph import BitAssignment
from tfmp.tflite.evaluate_tflite import evaluate_tflite
from tfmp.tflite.export_tflite import export_tflite
from tfmp.transform.model_cost import cost

_RESULT = "result.json"


@dataclasses.dataclass(frozen=True)
class WayResult:
    """A network at fixed bits, its file, and what both take.

    Args:
        folder: Folder with the network, its bits and the file.
        accuracy: Accuracy of the file on the validation samples, 0 to 1.
        size_bytes: Size of the file.
        arena_bytes: Memory of the interpreter of microcontrollers; None for other files.
        bitops: Bit operations of the network.
        history: Logs of its training by name, empty without training.
    """

    folder: pathlib.Path
    accuracy: float
    size_bytes: int
    arena_bytes: int | None
    bitops: float
    history: Mapping[str, Sequence[float]]

    @property
    def files(self) -> dict[str, pathlib.Path]:
        """Name of each file that is published to its path."""
        return {name: self.folder / name for name in (MODEL, ASSIGNMENT, FILE)}

    def model(self) -> KerasModel:
        """Returns the network."""
        return load_model(self.folder / MODEL, compile=False)

    @classmethod
    def read(cls, folder: pathlib.Path) -> "WayResult | None":
        """Returns the result in a folder, or None if there is none."""
        if not (folder / _RESULT).is_file():
            return None
        return cls(folder, **read_json(folder / _RESULT, "the result of a way"))

    @classmethod
    def write(
        cls,
        folder: pathlib.Path,
        fixed: KerasModel,
        assignment: BitAssignment,
        *,
        validation: tuple[Any, Any],
        history: Mapping[str, Sequence[float]],
        export: Mapping[str, Any],
    ) -> "WayResult":
        """Exports a network and writes it, its bits and its file to a folder, whole or not at all.

        Args:
            folder: The folder.
            fixed: The network.
            assignment: Its bits.
            validation: Inputs and class indices on which the file is evaluated.
            history: Logs of its training.
            export: Arguments of `export_tflite`.
        """
        with new_folder(folder) as beside:
            save_model(fixed, os.path.join(beside, MODEL))
            assignment.to_json(os.path.join(beside, ASSIGNMENT))
            path = os.path.join(beside, FILE)
            file = export_tflite(fixed, path, **export).file
            fields: dict[str, Any] = {
                "accuracy": float(evaluate_tflite(path, validation, metrics=None)),  # type: ignore[arg-type]  # one output
                "size_bytes": file.size_bytes,
                "arena_bytes": file.arena_bytes,
                "bitops": cost(fixed, "bitops"),
                "history": {name: [float(value) for value in values] for name, values in history.items()},
            }
            write_atomically(os.path.join(beside, _RESULT), json.dumps(fields))
        return cls(folder, **fields)
