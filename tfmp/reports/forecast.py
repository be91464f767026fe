"""Forecasts whether mixed bits will pay, before anything is trained."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.checks import check_instances
from tfmp.files.json_record import JsonRecord, built_from

# A bit more in every tensor divides the squared rounding error by 4, so a gain of g is worth log4(g) bits: 1.5 is 0.3
# bits. Less is within the error of adding up sensitivities, and within the noise of few samples.
SMALLEST_GAIN = 1.5
# In nats, or in the output's variance. A KL divergence of d moves probabilities by at most sqrt(d / 2), 2 % here
# (Pinsker), and a squared error of 0.001 is a signal-to-noise ratio of 30 dB: there is next to nothing to win.
NEGLIGIBLE_HARM = 1e-3


@dataclasses.dataclass(frozen=True)
class ForecastRow:
    """The predicted harm of several assignments at one budget.

    Harm is the expected output error, more than in floating point: that of 8 bits and a sum of sensitivities.

    Args:
        budget: The budget in words, `"bitops, W4A4"`.
        cost: Name of the cost.
        unit: Unit of the cost.
        limit: Limit of the searched layers' cost, in this unit.
        mixed: Harm of the best assignment.
        uniform: Harm of uniform bits at the same cost, between two pairs of bits interpolated; None if the budget is
            below all uniform bits.
        uniform_bits: `(weight_bits, activation_bits)` of the best uniform bits within the budget; None if there are
            none. 0 stands for tensors of which none has a choice.
        depthwise_8: Harm with kernels of depthwise layers at 8 bits and uniform bits elsewhere; None if the budget is
            below it, or the network has no searched depthwise layer.
        bits: The best assignment.
    """

    budget: str
    cost: str
    unit: str
    limit: float
    mixed: float
    uniform: float | None
    uniform_bits: tuple[int, int] | None
    depthwise_8: float | None
    bits: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)

    @property
    def gain(self) -> float | None:
        """Harm of uniform bits in units of that of the best assignment: 2 is half the harm."""
        return _ratio(self.uniform, self.mixed)

    @property
    def gain_over_depthwise_8(self) -> float | None:
        """Harm of `depthwise_8` in units of that of the best assignment."""
        return _ratio(self.depthwise_8, self.mixed)

    @property
    def verdict(self) -> str:
        """What to do at this budget, in words."""
        gain, over_depthwise = self.gain, self.gain_over_depthwise_8
        if self.uniform is None or gain is None:
            return "mixed: no uniform bits are within the budget"
        name = f"uniform {_bits_text(self.uniform_bits)}"
        if self.uniform <= NEGLIGIBLE_HARM:
            return f"use {name}: its harm is negligible"
        if gain < SMALLEST_GAIN:
            return f"use {name}: nothing to gain"
        if over_depthwise is not None and over_depthwise < SMALLEST_GAIN:
            times = _times(_ratio(self.uniform, self.depthwise_8))
            return f"use depthwise_8: {times} less harm than {name}, mixed adds nothing"
        beyond = "" if over_depthwise is None else f", {_times(over_depthwise)} less than depthwise_8"
        return f"mixed: {_times(gain)} less harm{beyond}"


@dataclasses.dataclass(frozen=True)
class Forecast:
    """Predicted harm of mixed bits, uniform bits and `depthwise_8` at several budgets, with a verdict for each.

    `print` it for a table; `tfmp.plots.forecast` draws it. The verdict is "nothing to gain" below a gain of 1.5 (a bit
    more in every tensor divides the harm by 4, so 1.5 is 0.3 bits), and if uniform bits harm at most 0.001 nats, or
    0.001 of the output's variance.

    Args:
        model: Name of the model.
        error: The error whose increase is predicted, as in `tfmp.Sensitivity`.
        rows: A `ForecastRow` for each budget.

    Raises:
        TypeError: If a row is not a `ForecastRow`.
    """

    model: str
    error: str
    rows: Sequence[ForecastRow]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", check_instances("rows", self.rows, ForecastRow, "`ForecastRow`s"))

    def to_json(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns the forecast as JSON text, and writes it to `path` if given; see `write_atomically` for errors."""
        content = dataclasses.asdict(self)
        verdicts = [
            {**row, "gain": each.gain, "verdict": each.verdict}
            for row, each in zip(content["rows"], self.rows, strict=True)
        ]
        return _RECORD.write({**content, "rows": verdicts}, path, overwrite=overwrite)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> "Forecast":
        """Reads a forecast from a path or from JSON text.

        Raises:
            ValueError: If it is not a forecast, or of a newer version.
        """
        return _RECORD.read(source, cls.from_content)

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> "Forecast":
        """Returns a forecast from the content of its JSON."""
        return cls(content["model"], content["error"], [*map(_row, content["rows"])])

    def __str__(self) -> str:
        head = ("budget", "mixed", "uniform", "depthwise_8", "gain", "verdict")
        body = [
            (
                row.budget,
                _number(row.mixed),
                _number(row.uniform),
                _number(row.depthwise_8),
                _gain(row.gain),
                row.verdict,
            )
            for row in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        lines = []
        for cells in (head, *body):
            middle = [cell.rjust(width) for cell, width in zip(cells[1:-1], widths[1:-1], strict=True)]
            lines.append("  ".join([cells[0].ljust(widths[0]), *middle, cells[-1]]).rstrip())
        return "\n".join([f"Predicted harm of {self.model} ({self.error}), more than in floating point:", *lines])


def _ratio(harm: float | None, of: float | None) -> float | None:
    if harm is None or of is None:
        return None
    if of <= 0:
        return 1.0 if harm <= 0 else float("inf")
    return max(harm, 0.0) / of


def _row(content: Mapping[str, Any]) -> ForecastRow:
    fields = {field.name: content[field.name] for field in dataclasses.fields(ForecastRow)}
    fields["bits"] = {name: tuple(pair) for name, pair in fields["bits"].items()}
    fields["uniform_bits"] = None if fields["uniform_bits"] is None else tuple(fields["uniform_bits"])
    return built_from(ForecastRow, fields)


def _bits_text(pair: tuple[int, int] | None) -> str:
    weight, activation = pair or (0, 0)
    return "".join(f"{letter}{bits}" for letter, bits in (("W", weight), ("A", activation)) if bits)


def _times(ratio: float | None) -> str:
    return "far" if ratio is None or ratio == float("inf") else f"about {ratio:.2g} times"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _gain(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


_RECORD = JsonRecord("tfmp.Forecast", "a forecast", "`Forecast.to_json`", needed=("model", "error", "rows"))
