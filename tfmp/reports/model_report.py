"""Status of each layer of a model, and which export modes are possible."""

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class ModelRow:
    """One layer of a model.

    Args:
        name: Name of the layer.
        kind: Its kind, as in `tfmp.graph.Layer`.
        status: `"searched"`; `"8 bits"`; `"follows"`: it has no kernel and uses the grids of the layers around it; or
            `"float"`. In a relaxed or fixed model `"searching"` and `"fixed"`.
        reason: Why it is not searched; empty if it is searched or follows.
        macs: Multiply-accumulates for one sample.
        num_parameters: Number of its parameters.
        weight_bits: Bits of its kernel, 32 in floating point.
        activation_bits: Bits of its input.
        blocks: The modes of export that it makes impossible.
        float_bytes: Bytes of its constants in a file of the integer modes, where it runs in floating point; None for
            other layers, and if these modes are impossible.
    """

    name: str
    kind: str
    status: str
    reason: str
    macs: int
    num_parameters: int
    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    blocks: tuple[str, ...] = ()
    float_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class ExportOutlook:
    """Whether a mode of export is possible.

    Args:
        answer: `"yes"`, `"no"`, or `"expected"` if only the export itself can tell.
        reason: The reason, unless the answer is yes; it names the layer that prevents the mode.
        way_out: What to change if the answer is no.
    """

    answer: str
    reason: str = ""
    way_out: str = ""

    def __str__(self) -> str:
        return f"{self.answer}, {self.reason}" if self.reason else self.answer


@dataclasses.dataclass(frozen=True)
class ModelReport:
    """The layers of a model in the order in which they run, and whether each mode of export is possible.

    `str` prints a table; its last lines are the modes.
    """

    name: str
    rows: Sequence[ModelRow]
    exports: Mapping[str, ExportOutlook] = dataclasses.field(default_factory=dict)

    def __getitem__(self, layer_name: str) -> ModelRow:
        return next(row for row in self.rows if row.name == layer_name)

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)

    @property
    def num_parameters(self) -> int:
        return sum(row.num_parameters for row in self.rows)

    def __str__(self) -> str:
        header = ("layer", "kind", "MACs", "parameters", "bits", "status")
        body = [
            (row.name, row.kind, f"{row.macs:,}", f"{row.num_parameters:,}", _bits(row), _status(row))
            for row in self.rows
        ]
        total = ("total", "", f"{self.macs:,}", f"{self.num_parameters:,}", "", "")
        widths = [max(len(line[column]) for line in (header, *body, total)) for column in range(len(header))]
        lines = [self._line(line, widths) for line in (header, *body, total)]
        return "\n".join([f"Model {self.name}", *lines, *self._modes()])

    @staticmethod
    def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
        aligned = [
            cell.rjust(width) if column in (2, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(aligned).rstrip()

    def _modes(self) -> list[str]:
        """Returns one line for all modes with the same outlook."""
        modes: dict[str, list[str]] = {}
        for mode, outlook in self.exports.items():
            modes.setdefault(str(outlook), []).append(mode)
        return [f"{', '.join(names)}: {outlook}" for outlook, names in modes.items()]


def _status(row: ModelRow) -> str:
    status = f"{row.status}: {row.reason}" if row.reason else row.status
    if row.float_bytes is not None:
        status += f" ({row.float_bytes:,} bytes in floating point)"
    return f"{status} (blocks {', '.join(row.blocks)})" if row.blocks else status


def _bits(row: ModelRow) -> str:
    if row.weight_bits == row.activation_bits == (32,) or not row.macs:
        return ""
    return f"W{_span(row.weight_bits)} A{_span(row.activation_bits)}"


def _span(bits: Sequence[int]) -> str:
    return "/".join("f" if b == 32 else str(b) for b in bits)
