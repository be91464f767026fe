"""The sections of a page, from the parts that a report has."""

from collections.abc import Iterator, Sequence
from typing import Any

from tfmp.reports.page.front_section import front_section
from tfmp.reports.page.network_picture import network_picture
from tfmp.reports.page.pictures import Curve, bar_picture, line_picture
from tfmp.reports.page.section import Section
from tfmp.reports.page.sensitivity_table import sensitivity_table
from tfmp.reports.page.tables import Table, amount_cell, cell, percent
from tfmp.reports.run_parts import NetworkLayer
from tfmp.reports.run_report import RunReport

_COMPARED = ("mixed", "uniform", "depthwise_8")  # assignments of a forecast
_ERRORS = {"kl": "Kullback-Leibler divergence", "squared_error": "mean squared error"}
_WHAT_MODELS_ARE = {
    "folded": "the Keras model with the same integer arithmetic",
    "trained": "the quantized model, as Keras computes it",
    "reference": "the model in floating point",
}


def sections(report: RunReport) -> list[Section]:
    """Returns the sections of a page, in order; those that a run has no numbers for are left out."""
    makers = (_result, _accuracy, _attempts, _bytes, _bits, _harms, _forecast, _history, _energy, _parity)
    made = [section for maker in makers for section in maker(report)]
    front = [front_section(report.front)] if report.front is not None and report.front.points else []
    return [*made, *front, *_versions(report)]


def _result(report: RunReport) -> Iterator[Section]:
    tables = []
    if report.asked:
        rows = [[cell(name), cell(words)] for name, words in report.asked.items()]
        tables.append(Table("What was asked for", ("request", "value"), rows))
    if report.checks:
        checks = [
            [
                cell(f"{each.quantity}, {each.unit}" if each.unit else each.quantity),
                cell("met" if each.is_met else "not met"),
                amount_cell(each.found),
                amount_cell(each.limit),
            ]
            for each in report.checks
        ]
        tables.append(Table("What came out", ("quantity", "result", "found", "asked for, at most"), checks))
    if tables or report.conclusion:
        notes = [report.conclusion] if report.conclusion else []
        yield Section("result", "Result", [*notes, *(f"Would help: {text}" for text in report.advice)], tables=tables)


def _accuracy(report: RunReport) -> Iterator[Section]:
    if not report.accuracies:
        return
    count = report.num_samples
    named = [(name, value, percent(value).text) for name, value in report.accuracies.items()]
    rows = [
        [cell(name), percent(value), cell(100 * (value * (1 - value) / count) ** 0.5 if count else None, ".2f")]
        for name, value in report.accuracies.items()
    ]
    note = f"On {count:,} samples. The standard error is that of drawing so many samples."
    table = Table("Accuracies", ("model", "accuracy", "standard error, points"), rows)
    yield Section("accuracy", "Accuracy", [note], [bar_picture("Accuracy", named)], [table])


def _attempts(report: RunReport) -> Iterator[Section]:
    if report.attempts:
        rows = [
            [
                cell(each.way),
                cell(each.verdict),
                cell(each.size_bytes, ",d"),
                percent(each.accuracy),
                cell(each.words),
                cell(each.reason),
            ]
            for each in report.attempts
        ]
        columns = ("way", "verdict", "file, bytes", "accuracy", "what it does", "why")
        note = "The accuracies are those of the files, on the samples that choose between ways."
        yield Section(
            "ways", "Ways that were considered", [note], tables=[Table("In order of their cost", columns, rows)]
        )


def _bytes(report: RunReport) -> Iterator[Section]:
    layers = [layer for layer in report.layers if layer.file_bytes is not None]
    tables = []
    if report.file_bytes:
        size = report.size_bytes
        roles = [
            [cell(role), cell(value, ",d"), percent(value / size)] for role, value in report.file_bytes.items() if value
        ]
        roles.append([cell("whole file"), cell(size, ",d"), percent(1.0)])
        tables.append(Table("Bytes of the file", ("content", "bytes", "share"), roles))
    if layers:
        named = [(layer.name, float(layer.file_bytes or 0), f"{layer.file_bytes:,}") for layer in layers]
        rows = [
            [cell(layer.name), cell(layer.weight_bits), cell(layer.container), cell(layer.file_bytes, ",d")]
            for layer in layers
        ]
        tables.append(Table("Bytes by layer", ("layer", "weight bits", "stored as", "bytes"), rows, is_open=False))
        yield Section("bytes", "Bytes as packed", [], [bar_picture("Bytes by layer", named, series=2)], tables)
    elif tables:
        yield Section("bytes", "Bytes as packed", tables=tables)


def _bits(report: RunReport) -> Iterator[Section]:
    if not any(layer.weight_bits for layer in report.layers):
        return
    rows = [
        [
            cell(layer.name),
            cell(layer.kind),
            cell(", ".join(layer.inputs)),
            cell(layer.weight_bits),
            cell(layer.activation_bits),
            cell(layer.macs, ",d"),
        ]
        for layer in report.layers
    ]
    columns = ("layer", "kind", "reads", "weight bits", "input bits", "multiply-accumulates")
    yield Section(
        "bits",
        "Bits over the network",
        ["From the input at the top to the output. W is the kernel, A the input of the layer."],
        [network_picture("Bits of kernels and inputs", report.layers)],
        [Table("Bits by layer", columns, rows, is_open=False)],
    )


def _harms(report: RunReport) -> Iterator[Section]:
    if not report.sensitivities:
        return
    note = (
        f"How much the output error ({_ERRORS.get(report.sensitivity_error, report.sensitivity_error)}) grows if this "
        "tensor alone has so many bits, and all others have 8. Darker is worse."
    )
    tables = [sensitivity_table(report.sensitivities, tensor) for tensor in ("weights", "activations")]
    found = [table for table in tables if table is not None]
    chosen = [(layer.name, layer.harm, f"{layer.harm:.3g}") for layer in report.layers if layer.harm is not None]
    pictures: list[Any] = []
    if chosen:
        pictures.append(bar_picture("Harm of the chosen bits by layer", chosen, series=3))
        rows = [[cell(name), cell(harm, ".3g")] for name, harm, _ in chosen]
        found.append(Table("Harm of the chosen bits", ("layer", "harm"), rows, is_open=False))
    yield Section("harms", "Sensitivities", [note], pictures, found)


def _forecast(report: RunReport) -> Iterator[Section]:
    if report.forecast is None or not report.forecast.rows:
        return
    ordered = sorted(report.forecast.rows, key=lambda row: row.limit)
    compared = [name for name in _COMPARED if any(getattr(row, name) is not None for row in ordered)]
    pictures: list[Any] = []
    if len(ordered) > 1 and len({row.cost for row in ordered}) == 1:
        curves = [
            Curve(name, [(row.limit, getattr(row, name)) for row in ordered if getattr(row, name) is not None])
            for name in compared
        ]
        if any(harm > 0 for curve in curves for _, harm in curve.values):
            label = f"{ordered[0].cost}, {ordered[0].unit}"
            pictures.append(line_picture("Predicted harm", curves, x_label=label, is_log=True))
    rows = [
        [
            cell(row.budget),
            amount_cell(row.limit),
            *(cell(getattr(row, name), ".3g") for name in compared),
            cell(row.verdict),
        ]
        for row in ordered
    ]
    columns = ("budget", f"limit, {ordered[0].unit}", *compared, "verdict")
    note = "Predicted before anything was trained, from the sensitivities: the increase of the output error."
    table = Table("Predicted harm by budget", columns, rows)
    yield Section("forecast", "Forecast", [note], pictures, [table])


def _history(report: RunReport) -> Iterator[Section]:
    history = {name: values for name, values in report.history.items() if any(value is not None for value in values)}
    if not history:
        return
    pictures = [
        line_picture(name, [Curve(name, _numbered(values))], x_label="epoch") for name, values in history.items()
    ]
    count = max(map(len, history.values()))
    rows = [
        [cell(epoch + 1), *(cell(values[epoch] if epoch < len(values) else None, ".4g") for values in history.values())]
        for epoch in range(count)
    ]
    table = Table("By epoch", ("epoch", *history), rows, is_open=False)
    yield Section("history", "Training", [], pictures, [table])


def _numbered(values: Sequence[float | None]) -> list[tuple[float, float]]:
    return [(epoch, value) for epoch, value in enumerate(values, start=1) if value is not None]


def _energy(report: RunReport) -> Iterator[Section]:
    layers = [layer for layer in report.layers if layer.energy_nj is not None and layer.latency_us is not None]
    if not layers:
        return
    pictures = [
        _simulated("Energy by layer, nJ", layers, "energy_nj", 4),
        _simulated("Time by layer, microseconds", layers, "latency_us", 5),
    ]
    rows = [
        [cell(layer.name), cell(layer.macs, ",d"), cell(layer.energy_nj, ",.4g"), cell(layer.latency_us, ",.4g")]
        for layer in layers
    ]
    note = f"For one sample, simulated on {report.hardware}. It is a model of an accelerator, not of your device."
    columns = ("layer", "multiply-accumulates", "energy, nJ", "time, microseconds")
    table = Table("Energy and time by layer", columns, rows, is_open=False)
    yield Section("energy", "Energy and latency", [note], pictures, [table])


def _simulated(title: str, layers: Sequence[NetworkLayer], field: str, series: int) -> Any:
    named = [(layer.name, getattr(layer, field), f"{getattr(layer, field):,.4g}") for layer in layers]
    return bar_picture(title, named, series=series)


def _parity(report: RunReport) -> Iterator[Section]:
    tables = []
    if report.parity:
        rows = [
            [
                cell(each.model),
                cell(_WHAT_MODELS_ARE.get(each.model, "")),
                percent(each.equal_share),
                percent(each.top1_agreement),
                cell("equal" if each.signal_to_noise_db is None else each.signal_to_noise_db, ".1f"),
                cell(each.num_samples, ",d"),
            ]
            for each in report.parity
        ]
        columns = ("model", "which is", "equal numbers", "same class", "signal to noise, dB", "samples")
        tables.append(Table("The file beside its models (agreement, not accuracy)", columns, rows))
    notes = []
    if report.operators:
        equal = len(report.operators) - len(report.unequal_operators)
        notes.append(
            f"{equal} of {len(report.operators)} operators compute every code of the folded model, given the same "
            "input codes."
        )
    if report.unequal_operators:
        unequal = [
            [
                cell(each.name),
                cell(each.layer),
                cell(each.kind),
                percent(each.equal_share),
                cell(each.largest_difference),
            ]
            for each in report.unequal_operators
        ]
        titles = ("operator", "layer", "kind", "equal codes", "largest difference, codes")
        tables.append(Table("Operators below 100 %", titles, unequal))
    if tables or notes:
        yield Section("parity", "Parity", notes, tables=tables)


def _versions(report: RunReport) -> Iterator[Section]:
    rows = [[cell(name), cell(version)] for name, version in report.versions.items()]
    tables = [Table("Versions", ("package", "version"), rows)] if rows else []
    if tables or report.command:
        yield Section("run", "Run", tables=tables, command=report.command)
