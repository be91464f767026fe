"""Gathers the report of a run from what its folder holds."""

import json
import os
import pathlib
from typing import Any

from tfmp.assign.sensitivity import Sensitivity
from tfmp.bindings.saving.load_model import load_model
from tfmp.compression.compression_folder import ASSIGNMENT, MODEL, REPORT, SENSITIVITY
from tfmp.compression.network_layers import network_layers
from tfmp.graph import BitAssignment
from tfmp.inspection.inspect import inspect
from tfmp.reports import Overlay, ParetoFront, RunReport, TFLiteFile, overlays
from tfmp.reports.run_report import package_versions
from tfmp.reports.text_table import amount
from tfmp.simulator import Hardware

_FRONT = "front.json"


def gathered_report(
    folder: str | os.PathLike[str], *, hardware: str | Hardware = "bit_fusion", safe_mode: bool = True
) -> RunReport:
    """Returns the report of a run of `tfmp compress`, `search`, `tune` or `demo`, or of files put together by hand.

    It is that of `report.json` if the folder has one. Otherwise it has what follows from `fixed.keras`, a `.tflite`
    file, `assignment.json`, `sensitivity.json` and `front.json`, of those that are there.

    Args:
        folder: The folder.
        hardware: The accelerator on which energy and time are simulated.
        safe_mode: As in `tfmp.load_model`.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it has none of these files, several `.tflite` files, or one that cannot be read.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}. Expected the folder of a run.")
    if (folder / REPORT).is_file():
        return RunReport.from_json(folder / REPORT)
    parts = {
        **_of_model(folder, file_of_run(folder), hardware, safe_mode),
        **_of_assignment(folder),
        **_of_front(folder),
    }
    if not parts:
        raise ValueError(
            f"Expected {MODEL}, a .tflite file, {ASSIGNMENT} or {_FRONT} in {str(folder)!r}, as tfmp compress, search, "
            "tune and demo write them. Received a folder with none of these."
        )
    name = parts.pop("model", folder.resolve().name)
    return RunReport(name, versions=package_versions(), **parts)


def file_of_run(folder: str | os.PathLike[str]) -> TFLiteFile | None:
    """Returns the contents of the `.tflite` file in the folder of a run, or None if it has none.

    Raises:
        ValueError: If it has several, or one that is not of tfmp.
    """
    files = sorted(pathlib.Path(folder).glob("*.tflite"))
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise ValueError(f"Expected one .tflite file in {str(folder)!r}. Received: {names}. Keep one in the folder.")
    file = inspect(files[0]) if files else None
    return file if isinstance(file, TFLiteFile) else None


def run_overlays(folder: str | os.PathLike[str], report: RunReport) -> tuple[Overlay, ...]:
    """Returns the overlays of the file in the folder of a run.

    Args:
        folder: The folder.
        report: Its report: that of `gathered_report`.

    Raises:
        ValueError: If the folder has no `.tflite` file, or several.
    """
    file = file_of_run(folder)
    if file is None:
        raise ValueError(f"Overlays are those of a .tflite file. Received: {str(folder)!r}, which has none.")
    return overlays(file, operators=report.operators, harms=report.harms)


def _of_model(
    folder: pathlib.Path, file: TFLiteFile | None, hardware: str | Hardware, safe_mode: bool
) -> dict[str, Any]:
    """Returns what follows from the network, its file and its sensitivities."""
    parts: dict[str, Any] = {}
    sensitivity = Sensitivity.load(folder / SENSITIVITY) if (folder / SENSITIVITY).is_file() else None
    if sensitivity is not None:
        parts |= {"sensitivities": sensitivity.scores, "sensitivity_error": sensitivity.error}
    if file is not None:
        parts |= {"model": file.name, "file_bytes": file.bytes_by_role}
    if (folder / MODEL).is_file():
        fixed = load_model(folder / MODEL, compile=False, safe_mode=safe_mode)
        scores = sensitivity.scores if sensitivity is not None else None
        layers = network_layers(fixed, file=file, scores=scores, hardware=hardware)
        parts |= {
            "model": fixed.name,
            "layers": layers,
            "hardware": hardware if isinstance(hardware, str) else hardware.name,
        }
    return parts


def _of_assignment(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the settings for which bits were chosen."""
    if not (folder / ASSIGNMENT).is_file():
        return {}
    assignment = BitAssignment.from_json(folder / ASSIGNMENT)
    shown = {key: value for key, value in assignment.provenance.items() if key in ("strategy", "budget", "harm")}
    asked = {key: value if isinstance(value, str) else json.dumps(value) for key, value in shown.items()}
    costs = {f"found: {name}": amount(value) for name, value in assignment.costs.items()}
    return {"asked": asked | costs}


def _of_front(folder: pathlib.Path) -> dict[str, Any]:
    return {"front": ParetoFront.from_json(folder / _FRONT)} if (folder / _FRONT).is_file() else {}
