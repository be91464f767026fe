"""Cycles, memory accesses and energy of one layer on a simulated machine."""

import csv
import dataclasses
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.reports.text_table import returned_and_written

PLACES = ("core", "buffers", "dram")


@dataclasses.dataclass(frozen=True)
class LayerReport:
    """Cycles, memory traffic and energy of one layer for a whole batch.

    A layer that the simulator does not price (pooling, addition, normalization) has `modelled=False`, and its numbers
    are None or empty: its cost is unknown, not zero.

    Args:
        name: Name of the layer.
        kind: Kind of the layer, `"conv2d"` for example.
        modelled: Whether the numbers below exist.
        weight_bits: Width of the weights, bits.
        activation_bits: Width of the input, bits.
        depthwise: How a depthwise layer was encoded, None for other layers.
        macs: Multiply-accumulates for the whole batch, of the convolution that the machine runs: more than the layer
            needs where `depthwise` is `"dense"`, and for transposed convolutions.
        compute_cycles: Cycles of the simulated machine in which it computes.
        stall_cycles: Cycles in which it waits for memory.
        total_cycles: Their sum.
        reads_bits: Bits read, by memory of the machine, `"dram"` last.
        writes_bits: Bits written, by memory.
        energy_nj: Energy in nJ: `"total"`, and its parts `"core"` and the memories.
        latency_ms: `total_cycles` in milliseconds, at the clock of the simulated machine.
        schedule: How the layer was run, in the terms of the machine; `repeats` counts its groups, all of which are in
            the numbers above. Other schedules may cost the same.

    Example:
        >>> print(LayerReport("pool", "max_pooling2d", modelled=False))
        pool (max_pooling2d): not modelled
    """

    name: str
    kind: str
    modelled: bool = True
    weight_bits: int | None = None
    activation_bits: int | None = None
    depthwise: str | None = None
    macs: int | None = None
    compute_cycles: int | None = None
    stall_cycles: int | None = None
    total_cycles: int | None = None
    reads_bits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    writes_bits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    energy_nj: Mapping[str, float] = dataclasses.field(default_factory=dict)
    latency_ms: float | None = None
    schedule: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def energy_by_place(self) -> dict[str, float]:
        """Energy in nJ in each of `PLACES`: the core, all buffers and registers on the chip, and the memory."""
        core, dram = (self.energy_nj.get(place, 0.0) for place in ("core", "dram"))
        on_chip = (nj for part, nj in self.energy_nj.items() if part not in ("total", "core", "dram"))
        return dict(zip(PLACES, (core, math.fsum(on_chip), dram), strict=True))

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields by name, nested, for JSON."""
        return dataclasses.asdict(self)

    def as_row(self) -> dict[str, Any]:
        """Returns the fields by column, flat, with the unit at the end of each name: `dram_reads_bits`."""
        row = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("reads_bits", "writes_bits", "energy_nj", "schedule")
        }
        for field in ("reads_bits", "writes_bits", "energy_nj"):
            row.update({f"{part}_{field}": value for part, value in getattr(self, field).items()})
        return row

    def to_json(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns the report as JSON text, and writes it to `path` if given; see `write_atomically` for errors."""
        return returned_and_written(json.dumps(self.as_dict(), indent=2) + "\n", path, overwrite)

    def to_csv(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns the report as CSV text, names and numbers, and writes it to `path` if given."""
        return returned_and_written(csv_text([self]), path, overwrite)

    def __str__(self) -> str:
        if not self.modelled:
            return f"{self.name} ({self.kind}): not modelled"
        encoding = f", depthwise as {self.depthwise}" if self.depthwise else ""
        lines = [
            f"{self.name} ({self.kind}{encoding}): {self.weight_bits}-bit weights, "
            f"{self.activation_bits}-bit activations, {self.macs:,} MACs",
            f"{self.total_cycles:,} cycles = {self.compute_cycles:,} compute + {self.stall_cycles:,} stall, "
            f"{self.latency_ms:.6g} ms of the simulated machine",
            f"{'':<14} {'read, bits':>20} {'written, bits':>20} {'energy, nJ':>20}",
        ]
        for part in sorted(self.energy_nj, key=lambda part: part == "total"):
            reads, writes = (f"{bits[part]:,}" if part in bits else "" for bits in (self.reads_bits, self.writes_bits))
            lines.append(f"{part:<14} {reads:>20} {writes:>20} {self.energy_nj[part]:>20,.3f}")
        return "\n".join(lines)


def csv_text(reports: Sequence[LayerReport]) -> str:
    """Returns CSV with a header and one line per report; cells that are not modelled are empty."""
    rows = [report.as_row() for report in reports]
    columns = list(dict.fromkeys(column for row in (LayerReport(name="", kind="").as_row(), *rows) for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
