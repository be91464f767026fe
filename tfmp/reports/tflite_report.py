"""Contents of a TFLite file and its agreement with models."""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence

from tfmp.files.atomic_file import write_atomically
from tfmp.reports.model_agreement import ModelAgreement
from tfmp.reports.tflite_file import TFLiteFile

_ROWS_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class OperatorAgreement:
    """Agreement of one operator with the folded model, given the input codes of the file.

    Args:
        name: Name of its output tensor.
        layer: Layer of the user's model that it computes, empty if none.
        kind: Kind of the operation.
        equal_share: Share of equal output codes, 0 to 1; of a layer in floating point, of numbers that differ by at
            most 1e-5 of the largest.
        largest_difference: Largest difference of two output codes; of a layer in floating point, of two numbers, as a
            share of the largest.
    """

    name: str
    layer: str
    kind: str
    equal_share: float
    largest_difference: float

    @property
    def is_equal(self) -> bool:
        """True if all codes are equal, and all numbers but for their last digits."""
        return self.equal_share == 1


@dataclasses.dataclass(frozen=True)
class TFLiteReport:
    """Contents of a file, and agreement of its results with three models; `str` prints it.

    The models are: the folded model, which has the same integer arithmetic; the trained model, which was exported, as
    Keras computes it; and the float model. Agreement is not accuracy: use `tfmp.evaluate_tflite` for that.

    Args:
        file: Contents of the file.
        operators: Agreement per operator of an integer file with the folded model; empty if it was not verified.
        folded: Agreement with the folded model, end to end; None for a file in floating point.
        trained: The same with the trained model; None if the file was not verified.
        reference: The same with the float model; None if none was given.
        outside_xnnpack: `(kind, tensor)` of the operators that the runtime computes with slower kernels.
    """

    file: TFLiteFile
    operators: Sequence[OperatorAgreement] = ()
    folded: ModelAgreement | None = None
    trained: ModelAgreement | None = None
    reference: ModelAgreement | None = None
    outside_xnnpack: Sequence[tuple[str, str]] = ()

    @property
    def path(self) -> str:
        """Path of the file."""
        return self.file.path

    @property
    def size_bytes(self) -> int:
        """Size of the whole file."""
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

    def to_json(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns the report as JSON text, and writes it to `path` if given; see `write_atomically` for errors."""
        content = dataclasses.asdict(self)
        content["file"]["bytes_by_role"] = self.file.bytes_by_role
        for name in ("folded", "trained", "reference"):
            agreement = getattr(self, name)
            content[name] = agreement and agreement.as_dict()
        content["first_difference"] = self.first_difference and self.first_difference.name
        text = json.dumps(content, indent=2) + "\n"
        if path is not None:
            write_atomically(path, text, overwrite=overwrite)
        return text

    def __str__(self) -> str:
        lines = [self.file.summary, *self._containers(), *self._largest()]
        if self.trained is None:
            return "\n".join([*lines, "  not verified"])
        lines += self._comparisons(self.trained)
        if self.outside_xnnpack:
            kinds = Counter(kind for kind, _ in self.outside_xnnpack)
            lines.append("  not run by XNNPACK: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items()))
        return "\n".join(lines)

    def _containers(self) -> Iterator[str]:
        counts = Counter(
            (layer.bits[0], layer.container) for layer in self.file.layers if layer.bits and layer.container
        )
        words = [f"{bits} bits as {container} in {count}" for (bits, container), count in sorted(counts.items())]
        yield f"  weights of {counts.total()} layers: " + ", ".join(words)

    def _largest(self) -> Iterator[str]:
        layers = sorted(self.file.layers, key=lambda layer: -layer.size_bytes)[:_ROWS_SHOWN]
        width = max([len(layer.name) for layer in layers], default=0)
        yield f"  largest of {len(self.file.layers)} layers:"
        for layer in layers:
            yield f"    {layer.name:<{width}}  {layer.size_bytes:>12,} bytes  {layer.in_words}"

    def _comparisons(self, trained: ModelAgreement) -> Iterator[str]:
        yield f"  the file beside its models, on {trained.num_samples} samples (agreement, not accuracy):"
        integers = "none: a file in floating point"
        yield f"    operators      {self._operators_in_words() if self.operators else integers}"
        yield f"    folded model   {self.folded.in_words if self.folded else integers}"
        yield f"    trained model  {trained.in_words}"
        yield f"    float model    {self.reference.in_words if self.reference else 'not given, see `reference`'}"
        differing = [operator for operator in self.operators if not operator.is_equal]
        if self.first_difference:
            yield f"  the first operator that differs by more than 1: {self.first_difference.name}"
        width = max([len(operator.name) for operator in differing], default=0)
        for operator in differing:
            yield (
                f"    {operator.name:<{width}}  {operator.kind:<16}  {operator.equal_share:8.4%} equal, "
                f"at most {operator.largest_difference:.3g} apart"
            )

    def _operators_in_words(self) -> str:
        equal = sum(operator.is_equal for operator in self.operators)
        return f"{equal} of {len(self.operators)} compute every code of the folded model, given the same input codes"
