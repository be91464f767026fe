"""Gathers the report of a run from what its folder holds."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from tfmp.assign.sensitivity import Sensitivity
from tfmp.bindings.saving.load_model import load_model
from tfmp.compression.compression_folder import ASSIGNMENT, MODEL, REPORT, SENSITIVITY
from tfmp.compression.network_layers import network_layers
from tfmp.graph import BitAssignment
from tfmp.inspection.inspect import inspect
from tfmp.joint import DiscreteNetwork
from tfmp.reports import NetworkLayer, NetworkReport, Overlay, ParetoFront, RunReport, TFLiteFile, overlays
from tfmp.reports.network_report import RECORD
from tfmp.reports.run_report import package_versions
from tfmp.reports.text_table import amount
from tfmp.simulator import Hardware, simulate

_FRONT, _NETWORK, _SIMULATION = "front.json", "network.json", "energy.json"
_FILES = (MODEL, "a .tflite file", ASSIGNMENT, _FRONT, _NETWORK, _SIMULATION)


def gathered_report(
    folder: str | os.PathLike[str], *, hardware: str | Hardware = "bit_fusion", safe_mode: bool = True
) -> RunReport:
    """Returns the report of a run of any command, of a joint search, or of files put together by hand.

    It is that of `report.json` if the folder has one. Otherwise it has what follows from those of these files that are
    there: `fixed.keras`, a `.tflite` file, `assignment.json`, `sensitivity.json`, `front.json`, `network.json` of a
    joint search, and `energy.json` of `tfmp simulate` and `tfmp demo`.

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
        **_of_simulation(folder),
        **_of_joint_search(folder, hardware),
        **_of_model(folder, file_of_run(folder), hardware, safe_mode),
        **_of_assignment(folder),
        **_of_front(folder),
    }
    if not parts:
        raise ValueError(
            f"Expected one of {', '.join(_FILES)} in {str(folder)!r}, as the commands of tfmp write them. Received a "
            "folder with none of these."
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
    asked = _worded({key: assignment.provenance.get(key) for key in ("strategy", "budget", "harm")})
    costs = {f"found: {name}": amount(value) for name, value in assignment.costs.items()}
    return {"asked": asked | costs}


def _worded(settings: Mapping[str, Any]) -> dict[str, str]:
    """Returns settings as texts, without those that are None."""
    known = {key: value for key, value in settings.items() if value is not None}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in known.items()}


def _of_front(folder: pathlib.Path) -> dict[str, Any]:
    return {"front": ParetoFront.from_json(folder / _FRONT)} if (folder / _FRONT).is_file() else {}


def _of_joint_search(folder: pathlib.Path, hardware: str | Hardware) -> dict[str, Any]:
    """Returns what a joint search found, its settings, and its history."""
    if not (folder / _NETWORK).is_file():
        return {}
    network = DiscreteNetwork.from_json(folder / _NETWORK)
    found, epochs = network.provenance, network.provenance.get("history", ())
    names = dict.fromkeys(name for epoch in epochs for name in epoch)
    return {
        **_simulated(simulate(network.layers, network.bits, hardware)),
        "asked": _worded({key: found.get(key) for key in ("strategy", "target", "cost")} | found.get("settings", {})),
        "history": {name: [epoch.get(name) for epoch in epochs] for name in names if name != "epoch"},
    }


def _of_simulation(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / _SIMULATION
    return _simulated(NetworkReport.from_json(path)) if RECORD.is_in(path) else {}


def _simulated(report: NetworkReport) -> dict[str, Any]:
    """Returns the layers of a simulation, each for one sample."""
    layers = tuple(
        NetworkLayer(
            layer.name,
            layer.kind,
            weight_bits=layer.weight_bits,
            activation_bits=layer.activation_bits,
            macs=layer.macs // report.batch if layer.macs is not None else None,
            energy_nj=layer.energy_nj.get("total", 0) / report.batch if layer.modelled else None,
            latency_us=1000 * layer.latency_ms / report.batch if layer.latency_ms is not None else None,
        )
        for layer in report.layers
    )
    return {"layers": layers, "hardware": report.hardware}
