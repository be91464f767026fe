"""Cycles, memory accesses and energy of a network on a simulated machine."""

import dataclasses
import math
import os
from collections.abc import Callable, Iterable
from typing import Any

from tfmp.files.json_record import JsonRecord, built_from
from tfmp.reports.layer_report import LayerReport, csv_text
from tfmp.reports.text_table import aligned, returned_and_written


@dataclasses.dataclass(frozen=True)
class NetworkReport:
    """Reports of all layers, in network order, and their sum.

    Args:
        layers: One report per call of a layer, including those that are not modelled.
        hardware: Name of the simulated machine, whose cycles and milliseconds are reported.
        batch: Samples in the batch that the numbers are for.
        objective: What each layer's schedule minimizes, `"latency"` or `"energy"`.
        depthwise: How depthwise layers are encoded.

    Example:
        >>> print(NetworkReport((), hardware="bit_fusion", batch=16).total.total_cycles)
        0
    """

    layers: tuple[LayerReport, ...]
    hardware: str
    batch: int
    objective: str = "latency"
    depthwise: str = "single_channel"

    @property
    def total(self) -> LayerReport:
        """Sum over the modelled layers: a report named `"total"` of kind `"network"`, without bits."""
        layers = [layer for layer in self.layers if layer.modelled]

        def added(field: str, add: Callable[[Iterable[Any]], Any]) -> Any:
            return add(getattr(layer, field) for layer in layers)

        def sums(field: str, add: Callable[[Iterable[Any]], Any]) -> dict[str, Any]:
            keys = dict.fromkeys(key for layer in layers for key in getattr(layer, field))
            return {key: add(getattr(layer, field).get(key, 0) for layer in layers) for key in keys}

        return LayerReport(
            name="total",
            kind="network",
            macs=added("macs", sum),
            compute_cycles=added("compute_cycles", sum),
            stall_cycles=added("stall_cycles", sum),
            total_cycles=added("total_cycles", sum),
            reads_bits=sums("reads_bits", sum),
            writes_bits=sums("writes_bits", sum),
            energy_nj={"total": 0.0} | sums("energy_nj", math.fsum),
            latency_ms=added("latency_ms", math.fsum),
        )

    @property
    def not_modelled(self) -> tuple[str, ...]:
        """Names of the layers that the total does not include."""
        return tuple(layer.name for layer in self.layers if not layer.modelled)

    def as_dict(self) -> dict[str, Any]:
        """Returns settings, total and layers by name, nested, for JSON."""
        settings = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "layers"
        }
        total = self.total.as_dict()
        del total["weight_bits"], total["activation_bits"], total["depthwise"], total["schedule"]
        return settings | {"total": total, "layers": [layer.as_dict() for layer in self.layers]}

    def to_json(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns the report as JSON text, and writes it to `path` if given; see `write_atomically` for errors."""
        return RECORD.write(self.as_dict(), path, overwrite=overwrite)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> "NetworkReport":
        """Reads a report from a path or from JSON text.

        Raises:
            ValueError: If it is not a report of one machine, or of a newer version.
        """
        return RECORD.read(source, _report)

    def to_csv(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns CSV with one line per layer, and writes it to `path` if given; there is no line for the total."""
        return returned_and_written(csv_text(self.layers), path, overwrite)

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [
            ("layer", "kind", "bits W/A", "MACs", "cycles", "of them stall", "simulated ms", "energy, nJ")
        ]
        rows += [_row(layer) for layer in (*self.layers, self.total)]
        table = aligned(rows, num_left=3)
        title = (
            f"simulated on {self.hardware}, batch {self.batch}, schedules of least {self.objective}, "
            f"depthwise layers as {self.depthwise}"
        )
        return "\n".join([title, *table[:-1], "-" * max(map(len, table)), table[-1]])


def _report(content: dict[str, Any]) -> NetworkReport:
    settings = {name: value for name, value in content.items() if name not in ("total", "layers")}
    layers = tuple(built_from(LayerReport, layer) for layer in content["layers"])
    return built_from(NetworkReport, {"layers": layers, **settings})


RECORD = JsonRecord(
    "tfmp.NetworkReport",
    "the simulation of a network on one machine",
    "`NetworkReport.to_json`",
    needed=("layers", "hardware", "batch"),
)


def _row(layer: LayerReport) -> tuple[str, ...]:
    if not layer.modelled:
        return layer.name, layer.kind, "not modelled", "", "", "", "", ""
    return (
        layer.name,
        layer.kind,
        "" if layer.weight_bits is None else f"{layer.weight_bits}/{layer.activation_bits}",
        f"{layer.macs:,}",
        f"{layer.total_cycles:,}",
        f"{layer.stall_cycles:,}",
        f"{layer.latency_ms:,.6f}",
        f"{layer.energy_nj['total']:,.3f}",
    )
