"""Reads networks from JSON."""

import dataclasses
import os
from typing import Any

from tfmp.checks import check_path
from tfmp.files.json_record import read_json
from tfmp.graph import LayerShape
from tfmp.graph.layer_shape import KINDS

_FIELDS = [field.name for field in dataclasses.fields(LayerShape)]


def read_workload(path: str | os.PathLike[str]) -> list[LayerShape | tuple[str, str]]:
    """Reads a list of layers for `simulate`.

    The file holds a JSON list with one object per layer, in network order. A layer that the array runs has the fields
    of `LayerShape`: `name`, `kind`, `in_channels`, `out_channels`; unless it is dense, also `kernel_size` and
    `output_size`; and optionally `strides`, `groups` and `reads_network_input`. Any other layer has only a `name` and
    a `kind`.

        [{"name": "conv1", "kind": "conv2d", "kernel_size": [7, 7], "strides": [2, 2], "in_channels": 3,
          "out_channels": 64, "output_size": [112, 112], "reads_network_input": true},
         {"name": "pool1", "kind": "max_pooling2d"},
         {"name": "dense", "kind": "dense", "in_channels": 2048, "out_channels": 1000}]

    Raises:
        ValueError: If the file is not such JSON; the message names the layer or its place in the list.
    """
    label = f"Workload {os.fspath(check_path('path', path))!r}"
    entries = read_json(path, label)
    if not isinstance(entries, list):
        raise ValueError(f"{label} must be a list of layers. Received: {type(entries).__name__}")
    return [_layer(entry, f"{label}, entry {place}") for place, entry in enumerate(entries)]


def _layer(entry: Any, origin: str) -> LayerShape | tuple[str, str]:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(field), str) for field in ("name", "kind")):
        raise ValueError(f"{origin} must be an object with a `name` and a `kind`. Received: {entry!r}")
    if entry["kind"] not in KINDS and set(entry) == {"name", "kind"}:
        return entry["name"], entry["kind"]
    unknown = sorted(set(entry) - set(_FIELDS))
    if unknown:
        raise ValueError(f"{origin}, layer `{entry['name']}`: unknown fields {unknown}. Fields: {', '.join(_FIELDS)}")
    needed = ["in_channels", "out_channels"] + ["kernel_size", "output_size"] * (entry["kind"] != "dense")
    missing = [field for field in needed if field not in entry]
    if missing and entry["kind"] in KINDS:
        raise ValueError(f"{origin}, layer `{entry['name']}`: a {entry['kind']} needs {', '.join(missing)}.")
    try:
        return LayerShape(**entry)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{origin}: {error}") from error
