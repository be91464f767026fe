"""Measured latencies of layers, as a JSON record."""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from tfmp.checks import check_choice, check_instance, check_instances, check_number, check_numbers
from tfmp.files.json_record import JsonRecord, built_from
from tfmp.graph.graph import Graph
from tfmp.graph.layer_shape import LayerShape
from tfmp.operators.writing.lookup_table import INDEX_BITS

_HERE = ("name", "reads_network_input")  # fields in which layers of equal latency may differ


@dataclasses.dataclass(frozen=True)
class RuntimeRow:
    """The latency of one layer with its weights in one container.

    Args:
        shape: The layer, with the name under which it was measured.
        container_bits: Bits of a weight in the file: 8, 4 or 2.
        latency_us: Median over the runs.
        quartiles_us: A quarter of the runs was below the first, a quarter above the second.
        index_bits: Bits of an index if the weights are indices into a table, otherwise None.
    """

    shape: LayerShape
    container_bits: int
    latency_us: float
    quartiles_us: tuple[float, float] = (0.0, 0.0)
    index_bits: int | None = dataclasses.field(default=None, metadata={"unrecorded_default": True})

    def __post_init__(self) -> None:
        check_instance("shape", self.shape, LayerShape, "a `LayerShape`")
        where = f"Layer `{self.shape.name}`"
        check_choice("container_bits", self.container_bits, (8, 4, 2), where=where)
        if self.index_bits is not None:
            check_choice("index_bits", self.index_bits, INDEX_BITS, where=where)
        check_number("latency_us", self.latency_us, at_least=0, where=where)
        object.__setattr__(self, "quartiles_us", check_numbers("quartiles_us", self.quartiles_us, count=2))


@dataclasses.dataclass(frozen=True)
class RuntimeTable:
    """Latencies by shape and container, and the overhead of networks.

    Args:
        conditions: Conditions that must be equal for all rows: machine, runtime, threads, batch size.
        rows: One row per shape and container; layer names are ignored.
        overhead_us: Overhead by `network_key`: latency of the whole network with all weights at 8 bits, less the sum of
            its layers' rows. It is negative if operators run faster together than one by one.
        date: Date of the last measurement.

    Example:
        >>> RuntimeTable.from_json("latency.json").latency_us(shape, 8)
    """

    conditions: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rows: tuple[RuntimeRow, ...] = ()
    overhead_us: Mapping[str, float] = dataclasses.field(default_factory=dict)
    date: str = ""

    def __post_init__(self) -> None:
        for name in ("conditions", "overhead_us"):
            check_instance(name, getattr(self, name), Mapping, "a mapping")
        check_instances("rows", self.rows, RuntimeRow, "`RuntimeRow`")
        for network, overhead in self.overhead_us.items():
            check_number("overhead_us", overhead, where=f"Network {network}")

    @functools.cached_property
    def _latencies(self) -> dict[tuple[Any, ...], float]:
        return {(_key(row.shape), row.container_bits, row.index_bits): row.latency_us for row in self.rows}

    def latency_us(self, shape: LayerShape, container_bits: int, index_bits: int | None = None) -> float | None:
        """Returns the latency of a layer, or None if it was not measured."""
        return self._latencies.get((_key(shape), container_bits, index_bits))

    def to_json(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns the table as JSON text, and writes it atomically to `path` if given."""
        return _RECORD.write(dataclasses.asdict(self), path, overwrite=overwrite)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "RuntimeTable":
        """Reads a table from a file.

        Raises:
            ValueError: If the file is not a table, or of a newer version.
        """
        return _RECORD.read(path, cls._of)

    @classmethod
    def _of(cls, content: dict[str, Any]) -> "RuntimeTable":
        given = check_instances("rows", content.pop("rows"), dict, "measured layers")
        rows = [built_from(RuntimeRow, {**row, "shape": built_from(LayerShape, row["shape"])}) for row in given]
        return built_from(cls, {**content, "rows": tuple(rows)})


_RECORD = JsonRecord("tfmp.RuntimeTable", "a table of latencies", "`tfmp.measure_runtime`", needed=("rows",))


def network_key(graph: Graph) -> str:
    """Returns a key of a network: its layers with a kernel, in order, independent of their bits and names."""
    layers = [graph.layer_of(call) for call in graph.calls]
    keys = [_key(layer.shape) for layer in layers if layer.shape is not None]
    return hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]


def _key(shape: LayerShape) -> tuple[Any, ...]:
    fields = dataclasses.asdict(shape)
    if shape.kind != "conv2d_transpose":
        fields["input_size"] = None  # except for padding, it follows from the other fields
    return tuple(value for name, value in fields.items() if name not in _HERE)
