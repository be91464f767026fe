"""Everything that a run asked for and found, as one record and one page."""

import dataclasses
import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.files.atomic_file import write_atomically
from tfmp.files.json_record import JsonRecord, built_from
from tfmp.reports.forecast import Forecast
from tfmp.reports.pareto_front import ParetoFront
from tfmp.reports.run_parts import Attempt, NetworkLayer, Parity, Scores, WishCheck
from tfmp.reports.text_table import amount
from tfmp.reports.tflite_report import OperatorAgreement
from tfmp.version import VERSION

_PACKAGES = ("tensorflow", "keras", "tf_keras", "ai-edge-litert", "tflite-micro", "numpy")


@dataclasses.dataclass(frozen=True)
class RunReport:
    """What a run asked for and found: of `tfmp.compress`, of a tuner, or gathered from the folder of a run.

    `str` prints the result, `to_html` writes the page and `to_json` the record from which both follow. Parts that a run
    does not have are empty, and left out of the page.

    Args:
        model: Name of the model.
        command: The command that repeats or resumes the run.
        versions: Package to version.
        asked: What was asked for, in words by name.
        checks: The limits that were asked for, and what came out.
        attempts: The ways that were considered, in order.
        conclusion: What came out, in a sentence.
        advice: What would help where a limit is not met.
        accuracies: Accuracy by `"float"`, `"fixed"`, `"file"` and others, 0 to 1.
        num_samples: Number of samples on which the accuracies were measured.
        layers: The layers with a kernel and those that join branches, in the order in which they run.
        file_bytes: Bytes of the file by role, `"weights"` for example; their sum is its size.
        sensitivities: Layer name to `{"weights": {bits: score}, "activations": {bits: score}}`.
        sensitivity_error: The error whose increase the scores are.
        forecast: The forecast of mixed bits against uniform ones.
        history: Name of a logged value to its value at the end of each epoch, None where it has none.
        hardware: The simulated accelerator of energy and latency.
        parity: Agreement of the file with its models.
        operators: Agreement of each operator of the file with the folded model.
        front: Points of accuracy against cost; a point may have `"bits"` by layer.

    Example:
        >>> print(RunReport("digits", accuracies={"float": 0.99, "file": 0.985}, num_samples=360))
        digits
        accuracy on 360 samples: float 99.00 %, file 98.50 %
    """

    model: str
    command: str = ""
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    asked: Mapping[str, str] = dataclasses.field(default_factory=dict)
    checks: Sequence[WishCheck] = ()
    attempts: Sequence[Attempt] = ()
    conclusion: str = ""
    advice: Sequence[str] = ()
    accuracies: Mapping[str, float] = dataclasses.field(default_factory=dict)
    num_samples: int = 0
    layers: Sequence[NetworkLayer] = ()
    file_bytes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    sensitivities: Scores = dataclasses.field(default_factory=dict)
    sensitivity_error: str = ""
    forecast: Forecast | None = None
    history: Mapping[str, Sequence[float | None]] = dataclasses.field(default_factory=dict)
    hardware: str = ""
    parity: Sequence[Parity] = ()
    operators: Sequence[OperatorAgreement] = ()
    front: ParetoFront | None = None

    @property
    def is_met(self) -> bool:
        """True if every limit that was asked for is met."""
        return all(check.is_met for check in self.checks)

    @property
    def size_bytes(self) -> int:
        """Size of the file; 0 if there is none."""
        return sum(self.file_bytes.values())

    @property
    def bits(self) -> dict[str, tuple[int, int]]:
        """Layer name to `(weight_bits, activation_bits)`."""
        return {
            layer.name: (layer.weight_bits, layer.activation_bits)
            for layer in self.layers
            if layer.weight_bits is not None and layer.activation_bits is not None
        }

    @property
    def harms(self) -> dict[str, float]:
        """Layer name to the sum of the sensitivities of its bits, where they were measured."""
        return {layer.name: layer.harm for layer in self.layers if layer.harm is not None}

    def to_json(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns the report as JSON text, and writes it to `path` if given; see `write_atomically` for errors."""
        return _RECORD.write(dataclasses.asdict(self), path, overwrite=overwrite)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> "RunReport":
        """Reads a report from a path or from JSON text.

        Raises:
            ValueError: If it is not a report, or of a newer version.
        """
        return _RECORD.read(source, _report)

    def to_html(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns the report as a page, and writes it to `path` if given; see `write_atomically` for errors.

        The page is one file that loads nothing else: readable on a phone, in print, and in dark mode.
        """
        from tfmp.reports.page.html_page import html_page  # which loads the template library

        text = html_page(self)
        if path is not None:
            write_atomically(path, text, overwrite=overwrite)
        return text

    def __str__(self) -> str:
        lines = [self.model, *([self.conclusion] if self.conclusion else [])]
        for check in self.checks:
            met = "met" if check.is_met else "NOT met"
            unit = f" {check.unit}" if check.unit else ""
            lines.append(f"{check.quantity}: {amount(check.found)}{unit}, asked for {amount(check.limit)}{unit}: {met}")
        if self.accuracies:
            values = ", ".join(f"{name} {value:.2%}".replace("%", " %") for name, value in self.accuracies.items())
            lines.append(f"accuracy on {self.num_samples} samples: {values}")
        if self.size_bytes:
            lines.append(f"file: {self.size_bytes:,} bytes")
        lines += [
            f"{layer.name}: W{layer.weight_bits} A{layer.activation_bits}" for layer in self.layers if layer.weight_bits
        ]
        lines += [
            f"operator {each.name}: {1 - each.equal_share:.2g} of codes differ, by at most {each.largest_difference}"
            for each in self.unequal_operators
        ]
        lines += [str(self.front)] if self.front is not None else []
        return "\n".join([*lines, *(f"would help: {text}" for text in self.advice)])

    @property
    def unequal_operators(self) -> tuple[OperatorAgreement, ...]:
        """The operators that do not compute every code of the folded model."""
        return tuple(operator for operator in self.operators if operator.equal_share < 1)


def package_versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that matter to a run, of those that are installed."""
    versions = {"python": platform.python_version(), "tfmp": VERSION}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _report(content: dict[str, Any]) -> RunReport:
    parts = {
        "checks": WishCheck,
        "attempts": Attempt,
        "layers": NetworkLayer,
        "parity": Parity,
        "operators": OperatorAgreement,
    }
    for name, kind in parts.items():
        content[name] = tuple(built_from(kind, _with_tuples(each)) for each in content.get(name, ()))
    content["advice"] = tuple(content.get("advice", ()))
    content["sensitivities"] = {
        layer: {tensor: {int(bits): score for bits, score in scores.items()} for tensor, scores in tensors.items()}
        for layer, tensors in content.get("sensitivities", {}).items()
    }
    if content.get("forecast") is not None:
        content["forecast"] = Forecast.from_content(content["forecast"])
    if content.get("front") is not None:
        content["front"] = built_from(ParetoFront, content["front"])
    return built_from(RunReport, content)


def _with_tuples(content: dict[str, Any]) -> dict[str, Any]:
    """Returns fields as they were before JSON, which has lists for tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}


_RECORD = JsonRecord("tfmp.RunReport", "the report of a run", "`RunReport.to_json`", needed=("model",))
