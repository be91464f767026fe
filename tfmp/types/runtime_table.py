"""How long a runtime takes for layers, as measured on one machine."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from tfmp.types.atomic_file import write_atomically
from tfmp.types.graph import Graph
from tfmp.types.layer_shape import LayerShape

_FORMAT, _VERSION = "tfmp.RuntimeTable", 1
_HERE = ("name", "reads_network_input")  # what two layers of equal latency may differ in


@dataclasses.dataclass(frozen=True)
class RuntimeRow:
    """The latency of one layer with its weights in one container.

    Args:
        shape: The layer, under the name that it was measured by.
        container_bits: 8, 4 or 2: what the file takes for a weight.
        latency_us: Median over the runs.
        quartiles_us: A quarter of the runs was below the first, a quarter above the second.
    """

    shape: LayerShape
    container_bits: int
    latency_us: float
    quartiles_us: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self):
        object.__setattr__(self, "quartiles_us", tuple(self.quartiles_us))


@dataclasses.dataclass(frozen=True)
class RuntimeTable:
    """Latencies by shape and container, and what networks take beside their layers.

    Args:
        conditions: What must be equal for rows to be compared: machine, runtime, threads, batch size.
        rows: One per shape and container; names of layers do not count.
        overhead_us: By `network_key`: what the whole network took with all weights at 8 bits, less the sum of its
            layers' rows. It may be negative, where operators run faster in a row than one by one.
        date: Of the last measurement.

    Example:
        >>> RuntimeTable.from_json("latency.json").latency_us(shape, 8)
    """

    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rows: tuple[RuntimeRow, ...] = ()
    overhead_us: Mapping[str, float] = dataclasses.field(default_factory=dict)
    date: str = ""

    def __post_init__(self):
        found = {(_key(row.shape), row.container_bits): row.latency_us for row in self.rows}
        object.__setattr__(self, "_latencies", found)

    def latency_us(self, shape: LayerShape, container_bits: int) -> float | None:
        """Latency of a layer, None if it was not measured."""
        return self._latencies.get((_key(shape), container_bits))

    def to_json(self, path=None, *, overwrite=False) -> str:
        """Returns the table as JSON and, given a path, writes it there, whole or not at all."""
        content = {"format": _FORMAT, "version": _VERSION, **dataclasses.asdict(self)}
        text = json.dumps(content, indent=1)
        if path is not None:
            write_atomically(path, text + "\n", overwrite=overwrite)
        return text

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> "RuntimeTable":
        """Reads a table from a file.

        Raises:
            ValueError: If the file holds no table, or one of a newer version.
        """
        with open(path, encoding="utf-8") as file:
            text = file.read()
        try:
            content = json.loads(text)
            if content.pop("format") != _FORMAT:
                raise ValueError("another format")
            if content.pop("version") > _VERSION:
                raise ValueError("written by a newer tfmp: upgrade to read it")
            rows = tuple(RuntimeRow(LayerShape(**row.pop("shape")), **row) for row in content.pop("rows"))
            return cls(rows=rows, **content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"Expected a table of latencies, as `tfmp.measure_runtime` writes. Received: {os.fspath(path)!r}, "
                f"which is none ({error})."
            ) from error


def network_key(graph: Graph) -> str:
    """A name for a network by the layers that multiply in it, in their order, whatever their bits and names."""
    layers = [graph.layer_of(call) for call in graph.calls]
    keys = [_key(layer.shape) for layer in layers if layer.shape is not None]
    return hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]


def _key(shape):
    fields = dataclasses.asdict(shape)
    if shape.kind != "conv2d_transpose":
        fields["input_size"] = None  # what follows from the others but for the padding
    return tuple(value for name, value in fields.items() if name not in _HERE)
