"""One network at one assignment on several simulated machines, side by side."""

import csv
import dataclasses
import io
import json
import os

from tfmp.reports.layer_report import LayerReport
from tfmp.reports.network_report import NetworkReport
from tfmp.reports.text_table import aligned, returned_and_written


@dataclasses.dataclass(frozen=True)
class HardwareComparison:
    """Reports of one network on several machines; `str` prints energy and time of each layer side by side.

    Args:
        reports: One report per machine, with the same layers, bits and batch.

    Raises:
        ValueError: If there is no report, two are of machines of one name, or they are of different layers.

    Example:
        >>> HardwareComparison((NetworkReport((), "bit_fusion", 1), NetworkReport((), "eyeriss", 1))).names
        ('bit_fusion', 'eyeriss')
    """

    reports: tuple[NetworkReport, ...]

    def __post_init__(self) -> None:
        if not self.reports or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"Expected reports of machines with different names. Received: {', '.join(self.names) or 'none'}. "
                "Name each machine once."
            )
        networks = {
            tuple((layer.name, layer.weight_bits, layer.activation_bits) for layer in report.layers)
            for report in self.reports
        }
        if len(networks) > 1:
            raise ValueError("Expected reports of the same layers at the same bits. Received reports that differ.")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the machines."""
        return tuple(report.hardware for report in self.reports)

    def to_json(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns a list of the reports as JSON text, and writes it to `path` if given."""
        text = json.dumps([report.as_dict() for report in self.reports], indent=2) + "\n"
        return returned_and_written(text, path, overwrite)

    def to_csv(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns CSV with one line per machine and layer, in columns that all machines have; writes it if `path`."""
        text = io.StringIO()
        columns = ("hardware", "name", "kind", "weight_bits", "activation_bits", "macs", "total_cycles", "latency_ms")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*columns, *(f"{place}_energy_nj" for place in ("core", "buffers", "dram", "total"))])
        for report in self.reports:
            for layer in report.layers:
                energies = [*layer.energy_by_place.values(), layer.energy_nj["total"]] if layer.modelled else [""] * 4
                writer.writerow([report.hardware, *(getattr(layer, name) for name in columns[1:]), *energies])
        return returned_and_written(text.getvalue(), path, overwrite)

    def __str__(self) -> str:
        header = ["layer", "bits W/A", *(f"{name}, {unit}" for name in self.names for unit in ("nJ", "simulated ms"))]
        rows = [header]
        for calls in zip(*(report.layers for report in self.reports), strict=True):
            layer = calls[0]
            bits = f"{layer.weight_bits}/{layer.activation_bits}" if layer.modelled else "not modelled"
            rows.append([layer.name, bits, *(cell for call in calls for cell in _cells(call))])
        rows.append(["total", "", *(cell for report in self.reports for cell in _cells(report.total))])
        table = aligned(rows, num_left=2)
        title = f"simulated, batch {self.reports[0].batch}, schedules of least {self.reports[0].objective}"
        return "\n".join([title, *table[:-1], "-" * max(map(len, table)), table[-1]])


def _cells(layer: LayerReport) -> tuple[str, str]:
    if not layer.modelled:
        return "", ""
    return f"{layer.energy_nj['total']:,.1f}", f"{layer.latency_ms:,.4f}"
