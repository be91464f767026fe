"""What the library can do with each layer of a model."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class ModelRow:
    """One layer: its status, the reason if it is not searched, its multiply-accumulates for one sample and its size."""

    name: str
    kind: str
    status: str
    reason: str
    macs: int
    num_parameters: int
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class ModelReport:
    """The layers of a model in the order in which they run; `str` prints it as a table."""

    name: str
    rows: Sequence[ModelRow]

    def __getitem__(self, layer_name: str) -> ModelRow:
        return next(row for row in self.rows if row.name == layer_name)

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)

    @property
    def num_parameters(self) -> int:
        return sum(row.num_parameters for row in self.rows)

    def __str__(self):
        header = ("layer", "kind", "MACs", "parameters", "bits", "status")
        body = [
            (row.name, row.kind, f"{row.macs:,}", f"{row.num_parameters:,}", _bits(row), _status(row))
            for row in self.rows
        ]
        total = ("total", "", f"{self.macs:,}", f"{self.num_parameters:,}", "", "")
        widths = [max(len(line[column]) for line in (header, *body, total)) for column in range(len(header))]
        lines = [self._line(line, widths) for line in (header, *body, total)]
        return "\n".join([f"Model {self.name}", *lines])

    @staticmethod
    def _line(cells, widths):
        aligned = [
            cell.rjust(width) if column in (2, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(aligned).rstrip()


def _status(row):
    return f"{row.status}: {row.reason}" if row.reason else row.status


def _bits(row):
    if row.weight_bits == row.activation_bits == (32,) or not row.macs:
        return ""
    return f"W{_span(row.weight_bits)} A{_span(row.activation_bits)}"


def _span(bits):
    return "/".join("f" if b == 32 else str(b) for b in bits)
