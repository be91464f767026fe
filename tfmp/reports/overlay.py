"""Figures of the operators of a file, for Google's Model Explorer to show over its graph."""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.files.atomic_file import check_writable, write_atomically
from tfmp.reports.tflite_file import TFLiteFile
from tfmp.reports.tflite_report import OperatorAgreement

_BLUES, _GREENS, _REDS = ("#f7fbff", "#4292c6"), ("#f7fcf5", "#41ab5d"), ("#fff5f0", "#ef3b2c")
_BELOW_ONE = math.nextafter(1.0, 0.0)
_EQUAL_OR_NOT = [{"value": _BELOW_ONE, "bgColor": _REDS[1]}, {"value": 1, "bgColor": _GREENS[0]}]
_NOT_SUMMED = {"hideAggregatedStats": ["sum"], "hideInChildrenStatsTable": True}  # its shares of a sum mean nothing
NAMES = ("weight_bits", "input_bits", "bytes", "harm", "parity")


@dataclasses.dataclass(frozen=True)
class Overlay:
    """A figure of operators, over the graph of a file.

    Args:
        name: What it is, one of `weight_bits`, `input_bits`, `bytes`, `harm`, `parity`.
        values: The figure by the name of the operator's output tensor.
        style: How Model Explorer colors and sums up the values, as fields of its `GraphNodeData`.
    """

    name: str
    values: Mapping[str, float]
    style: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        """Returns the node data of Model Explorer as JSON text: `GraphNodeData` of its `node_data_builder`."""
        results = {tensor: {"value": value} for tensor, value in self.values.items()}
        return json.dumps({"name": self.name, **self.style, "results": results}, indent=1) + "\n"


def overlays(
    file: TFLiteFile, *, operators: Sequence[OperatorAgreement] = (), harms: Mapping[str, float] | None = None
) -> tuple[Overlay, ...]:
    """Returns the figures of a file's operators, without those of which there are none.

    Args:
        file: Contents of the file.
        operators: Agreement of operators with the folded model, of a `TFLiteReport`: the overlay `parity` has the share
            of equal codes, 0 to 1.
        harms: The sum of the sensitivities of its bits by layer.
    """
    shares = {each.name: each.equal_share for each in operators}
    bits, harms = file.bits, harms or {}
    figures: dict[str, dict[str, float]] = {name: {} for name in NAMES}
    for operator in file.operators:
        if not operator.tensor:  # a step that gathers windows, by which Model Explorer cannot find the operator
            continue
        found: dict[str, float | None] = {"harm": harms.get(operator.layer), "parity": shares.get(operator.computes)}
        if operator.size_bytes:
            found["bytes"] = operator.size_bytes
        if operator.layer in bits:
            found["weight_bits"], found["input_bits"] = bits[operator.layer]
        for name, value in found.items():
            if value is not None and math.isfinite(value):  # JSON has no other numbers
                figures[name][operator.tensor] = value
    styles = {
        "weight_bits": _gradient(_BLUES) | _NOT_SUMMED,
        "input_bits": _gradient(_BLUES) | _NOT_SUMMED,
        "bytes": _gradient(_GREENS),
        "harm": _gradient(_REDS),
        "parity": {"thresholds": _EQUAL_OR_NOT} | _NOT_SUMMED,
    }
    return tuple(Overlay(name, values, styles[name]) for name, values in figures.items() if values)


def write_overlays(
    made: Sequence[Overlay], folder: str | os.PathLike[str], *, overwrite: bool = False
) -> tuple[pathlib.Path, ...]:
    """Writes overlays to a folder, `NAME.json` each, and removes those of an earlier run that are not among them.

    Args:
        made: The overlays.
        folder: The folder; created if missing.
        overwrite: True to replace existing files.

    Returns:
        The paths that were written.

    Raises:
        OSError: If a file exists and `overwrite` is False, or the folder cannot be written; before any is written.
    """
    check_overlays(folder, overwrite=overwrite)
    os.makedirs(folder, exist_ok=True)
    paths = _paths(folder)
    for overlay in made:
        write_atomically(paths[overlay.name], overlay.to_json(), overwrite=overwrite)
    written = {overlay.name for overlay in made}
    for name in set(paths) - written:
        with contextlib.suppress(FileNotFoundError):
            paths[name].unlink()
    return tuple(path for name, path in paths.items() if name in written)


def check_overlays(folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Raises the errors of `write_overlays` early, before the work whose overlays are to be written."""
    if not os.path.isdir(folder):
        check_writable(folder)
        return
    for path in _paths(folder).values():
        check_writable(path, overwrite)


def _paths(folder: str | os.PathLike[str]) -> dict[str, pathlib.Path]:
    """Returns the path of each overlay that a folder can have, by its name."""
    return {name: pathlib.Path(folder) / f"{name}.json" for name in NAMES}


def _gradient(ends: Sequence[str]) -> dict[str, Any]:
    return {"gradient": [{"stop": stop, "bgColor": color} for stop, color in enumerate(ends)]}
