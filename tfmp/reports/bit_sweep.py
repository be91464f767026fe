"""A network at several uniform bits on simulated machines."""

import csv
import dataclasses
import io
import json
import os
from typing import Any

from tfmp.reports.network_report import NetworkReport
from tfmp.reports.text_table import aligned, returned_and_written


@dataclasses.dataclass(frozen=True)
class SweepRow:
    """A network on one machine with the same bits in all layers.

    Args:
        hardware: Name of the machine.
        weight_bits: Width of all weights, bits.
        activation_bits: Width of all inputs of layers, bits.
        core_energy_nj: Energy of the processing elements or the processor, nJ for the batch.
        buffers_energy_nj: Energy of registers, buffers and wires on the chip, nJ.
        dram_energy_nj: Energy of the memory, nJ.
        energy_nj: Their sum.
        total_cycles: Cycles of the simulated machine.
        latency_ms: These in milliseconds, at the clock of the simulated machine.
    """

    hardware: str
    weight_bits: int
    activation_bits: int
    core_energy_nj: float
    buffers_energy_nj: float
    dram_energy_nj: float
    energy_nj: float
    total_cycles: int
    latency_ms: float

    @classmethod
    def of(cls, report: NetworkReport, weight_bits: int, activation_bits: int) -> "SweepRow":
        """Returns the row of a report."""
        total = report.total
        places = {f"{place}_energy_nj": nj for place, nj in total.energy_by_place.items()}
        return cls(
            report.hardware,
            weight_bits,
            activation_bits,
            energy_nj=total.energy_nj["total"],
            total_cycles=total.total_cycles or 0,
            latency_ms=total.latency_ms or 0.0,
            **places,
        )

    @property
    def bits(self) -> str:
        """The pair of bits, `"W8A8"`."""
        return f"W{self.weight_bits}A{self.activation_bits}"


@dataclasses.dataclass(frozen=True)
class BitSweep:
    """Energy of a network over uniform bits; `str` prints one line per pair of bits and one column per machine.

    Args:
        rows: One row for each machine and pair of bits; all machines have the same pairs.
        batch: Samples in the batch that the numbers are for.

    Example:
        >>> print(BitSweep((SweepRow("mpic", 8, 8, 2e6, 0.0, 0.0, 2e6, 100, 1.0),), batch=1))
        simulated energy of a batch of 1, nJ
        bits         mpic
        W8A8  2,000,000.0
    """

    rows: tuple[SweepRow, ...]
    batch: int

    def table(self) -> list[list[str]]:
        """Returns the header and one row of cells per pair of bits: energies in nJ."""
        machines = list(dict.fromkeys(row.hardware for row in self.rows))
        energies = {(row.bits, row.hardware): f"{row.energy_nj:,.1f}" for row in self.rows}
        pairs = list(dict.fromkeys(row.bits for row in self.rows))
        return [["bits", *machines], *([bits, *(energies[bits, machine] for machine in machines)] for bits in pairs)]

    def as_dicts(self) -> list[dict[str, Any]]:
        """Returns one dict per row."""
        return [{"batch": self.batch, **dataclasses.asdict(row)} for row in self.rows]

    def to_json(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns a list of the rows as JSON text, and writes it to `path` if given."""
        return returned_and_written(json.dumps(self.as_dicts(), indent=2) + "\n", path, overwrite)

    def to_csv(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns CSV with one line per row, and writes it to `path` if given."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.as_dicts()[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.as_dicts())
        return returned_and_written(text.getvalue(), path, overwrite)

    def __str__(self) -> str:
        return "\n".join([f"simulated energy of a batch of {self.batch}, nJ", *aligned(self.table())])
