"""Costs of the layers of a fixed model, as a table."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer: its bits, its BitOps for one sample, the bytes of its packed kernel, its energy per sample in nJ."""

    name: str
    weight_bits: int
    activation_bits: int
    bitops: float
    packed_bytes: float
    energy_nj: float


@dataclasses.dataclass(frozen=True)
class LayerTable:
    """The layers of a model with a kernel, in the order in which they run; `str` prints them with their sums."""

    rows: Sequence[LayerRow]
    hardware: str

    @property
    def total(self) -> LayerRow:
        """The sums, in a row without bits."""
        return LayerRow(
            "total",
            0,
            0,
            sum(row.bitops for row in self.rows),
            sum(row.packed_bytes for row in self.rows),
            sum(row.energy_nj for row in self.rows),
        )

    def __str__(self) -> str:
        width = max([len(row.name) for row in self.rows] + [len("layer")])
        lines = [f"{'layer':<{width}}  bits W/A  {'BitOps':>13}  {'packed bytes':>12}  {'energy, nJ':>12}"]
        for row in (*self.rows, self.total):
            bits = f"{row.weight_bits}/{row.activation_bits}" if row.weight_bits else ""
            figures = f"{row.bitops:>13,.0f}  {row.packed_bytes:>12,.0f}  {row.energy_nj:>12,.1f}"
            lines.append(f"{row.name:<{width}}  {bits:<8}  {figures}")
        return "\n".join(lines)
