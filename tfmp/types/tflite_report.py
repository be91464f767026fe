"""How a TFLite file compares with the model that it was written from."""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Sequence

from tfmp.types.atomic_file import write_atomically
from tfmp.types.tflite_file import TFLiteFile

_ROWS_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class OperatorAgreement:
    """One operator, given the file's own input codes.

    Args:
        name: Name of the tensor that it writes.
        layer: Layer of the user's model that it computes, empty if none.
        kind: What it computes.
        equal_share: Share of output codes that are equal, 0 to 1.
        largest_difference: Of two output codes.
    """

    name: str
    layer: str
    kind: str
    equal_share: float
    largest_difference: int


@dataclasses.dataclass(frozen=True)
class TFLiteReport:
    """What is in a file, and how its results compare with the model's.

    The model is the folded one or, for a file in floating point, the fixed one.

    Args:
        file: What is in it.
        operators: Agreement per operator of a file of integers; empty if it was not verified.
        equal_share: Share of equal output values end to end, None if not verified. In a file in floating point, of
            those that differ by at most 1e-5 of the largest in their row.
        largest_difference: Largest difference of an output value end to end, in units of the output.
        top1_agreement: Share of samples whose largest output is the same; of outputs with a single number, of those
            within 5 % of the largest.
        outside_xnnpack: `(kind, tensor)` of the operators that the file's runtime gives to slower kernels.
    """

    file: TFLiteFile
    operators: Sequence[OperatorAgreement] = ()
    equal_share: float | None = None
    largest_difference: float | None = None
    top1_agreement: float | None = None
    outside_xnnpack: Sequence[tuple[str, str]] = ()

    @property
    def path(self) -> str:
        """The file."""
        return self.file.path

    @property
    def size_bytes(self) -> int:
        """Of the whole file."""
        return self.file.size_bytes

    @property
    def mode(self) -> str:
        """How its weights are stored."""
        return self.file.mode

    @property
    def bits(self) -> dict[str, tuple[int, int]]:
        """Layer name to `(weight_bits, activation_bits)`."""
        return self.file.bits

    @property
    def first_difference(self) -> OperatorAgreement | None:
        """The first operator that differs by more than 1, None if there is none."""
        return next((operator for operator in self.operators if operator.largest_difference > 1), None)

    def to_json(self, path: str | os.PathLike | None = None, *, overwrite: bool = False) -> str:
        """Returns the report as JSON text, and writes it to `path` if given; see `write_atomically` for errors."""
        content = dataclasses.asdict(self)
        content["file"]["bytes_by_role"] = self.file.bytes_by_role
        content["first_difference"] = self.first_difference and self.first_difference.name
        text = json.dumps(content, indent=2) + "\n"
        if path is not None:
            write_atomically(path, text, overwrite=overwrite)
        return text

    def __str__(self):
        lines = [self.file.summary, *self._containers(), *self._largest()]
        if self.equal_share is None:
            return "\n".join([*lines, "  not verified"])
        lines += self._operators()
        lines.append(
            f"  end to end: {self.equal_share:.4%} of the outputs equal, at most {self.largest_difference:g} apart, "
            f"top-1 agreement {self.top1_agreement:.4%}"
        )
        if self.outside_xnnpack:
            kinds = Counter(kind for kind, _ in self.outside_xnnpack)
            lines.append("  not run by XNNPACK: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
        return "\n".join(lines)

    def _containers(self):
        layers = [layer for layer in self.file.layers if layer.bits and layer.container]
        counts = Counter((layer.bits[0], layer.container) for layer in layers)
        words = [f"{bits} bits as {container} in {count}" for (bits, container), count in sorted(counts.items())]
        yield f"  weights of {len(layers)} layers: " + ", ".join(words)

    def _largest(self):
        layers = sorted(self.file.layers, key=lambda layer: -layer.size_bytes)[:_ROWS_SHOWN]
        width = max([len(layer.name) for layer in layers], default=0)
        yield f"  largest of {len(self.file.layers)} layers:"
        for layer in layers:
            yield f"    {layer.name:<{width}}  {layer.size_bytes:>12,} bytes  {layer.in_words}"

    def _operators(self):
        if not self.operators:
            return
        differing = [operator for operator in self.operators if operator.largest_difference]
        equal = len(self.operators) - len(differing)
        yield f"  {equal} of {len(self.operators)} operators: every code equal, given the file's own input codes"
        if self.first_difference:
            yield f"  the first that differs by more than 1: {self.first_difference.name}"
        width = max([len(operator.name) for operator in differing], default=0)
        for operator in differing:
            yield (
                f"    {operator.name:<{width}}  {operator.kind:<16}  {operator.equal_share:8.4%} equal, "
                f"at most {operator.largest_difference} apart"
            )
