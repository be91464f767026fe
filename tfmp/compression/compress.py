"""`tfmp.compress`: from a trained classifier to a verified file and a report, in one call."""

import dataclasses
import os
import pathlib
import sys
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_choice, check_flag, check_integer, check_number
from tfmp.compression.advice import advice, conclusion, rounding_note
from tfmp.compression.compression_folder import OVERLAYS, PAGE, REPORT, SENSITIVITY, CompressionFolder
from tfmp.compression.file_parity import file_parity
from tfmp.compression.labelled_samples import LabelledSamples
from tfmp.compression.ladder import Ladder
from tfmp.compression.network_layers import network_layers
from tfmp.compression.way_result import WayResult
from tfmp.compression.wish import Wish
from tfmp.compression.workshop import TrainingPlan, Workshop
from tfmp.data.structure import map_leaves
from tfmp.files.run_identity import array_digest, version
from tfmp.graph.targets import target_of
from tfmp.reports import (
    Overlay,
    RunReport,
    TFLiteReport,
    Tolerance,
    WishCheck,
    overlays,
    write_overlays,
)
from tfmp.reports.run_report import package_versions
from tfmp.tflite.compare_tflite import compare_tflite
from tfmp.tflite.evaluate_tflite import evaluate_tflite
from tfmp.tflite.open_file import runner_of
from tfmp.transform.model_checks import check_finite_weights

_HARDWARE = "bit_fusion"
_EXACT = Tolerance(trained_db=None, trained_top1=None)  # the accuracy of the file is measured beside that of Keras
_VERIFIED = 256  # samples on which the file is compared with its models


def compress(
    model: KerasModel,
    data: Any,
    output: str | os.PathLike[str],
    *,
    flash_bytes: int | None = None,
    ram_bytes: int | None = None,
    bitops_like: tuple[int, int] | None = None,
    max_accuracy_drop: float | None = None,
    target: str = "litert",
    epochs: int = 10,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    seed: int = 0,
    overwrite: bool = False,
    command: str = "",
    verbose: int = 1,
) -> RunReport:
    """Makes a verified TFLite file that meets limits from a trained classifier, in the cheapest way that can.

    It tries, in this order, quantization to 8 bits after training; bits by sensitivities after training; the same with
    learned rounding; training at these bits; and a search. It stops at the first way that is within all limits and
    loses at most `max_accuracy_drop` (without one, 0.01). With only `max_accuracy_drop`, it looks for the smallest
    file. Ways are compared on half of the test samples, and the result is measured on the other half; without test
    samples, both on a fifth of the training samples, which is held out.

    The folder then has `model.tflite`, `fixed.keras`, `assignment.json`, `sensitivity.json` if it was measured,
    `report.json`, `report.html`, `overlays` for Google's Model Explorer, and `run.json`, which has the settings. An
    interrupted run leaves what is finished in the folder `work` and is resumed by the same call.

    Args:
        model: A built Sequential or functional classifier with one output of class scores. It is not changed.
        data: `(x, y)`, `((x_train, y_train), (x_test, y_test))`, or a dict with the keys `x_train`, `y_train` and
            perhaps `x_test`, `y_test`: inputs as the model takes them, and class indices.
        output: The folder; created if missing.
        flash_bytes: Largest size of the file.
        ram_bytes: Largest memory of the interpreter of microcontrollers, for `target="micro"`.
        bitops_like: `(weight_bits, activation_bits)`: at most the bit operations of these bits in all searched layers.
        max_accuracy_drop: Largest accuracy of the float model minus that of the file, 0 to 1.
        target: `"litert"` or `"micro"`, as in `tfmp.export_tflite`.
        epochs: Epochs of a training, and of a search; 0 to not train.
        batch_size: Samples in a training step.
        learning_rate: That of Adam at the start of a training.
        seed: Integer for the division of the data and the order of the samples.
        overwrite: True to replace the results of another run.
        command: The command that repeats the run, for the report.
        verbose: 0 is silent; 1 prints what is done and why, with progress bars on a terminal.

    Returns:
        A `tfmp.reports.RunReport`; `print` it. Its `is_met` is False if a limit could not be met: the files are then
        those of the closest network that was found, and `advice` says what would help.

    Raises:
        ValueError: If no limit or a wrong one is given, the model cannot be quantized or is no classifier, data do not
            fit it, or the folder has another run.
        TypeError: If the model is not of Keras, or the data have another form.
        OSError: If the folder cannot be written.
        ImportError: If the target is `"micro"` and the package `tflite-micro` is not installed.

    Example:
        >>> report = tfmp.compress(model, (x, y), "compressed", flash_bytes=256 * 1024)  # doctest: +SKIP
    """
    wish = Wish(flash_bytes, ram_bytes, bitops_like, max_accuracy_drop, target)
    check_integer("epochs", epochs, at_least=0)
    check_integer("batch_size", batch_size, at_least=1)
    check_number("learning_rate", learning_rate, above=0)
    check_integer("seed", seed, at_least=0)
    check_flag("overwrite", overwrite)
    check_choice("verbose", verbose, (0, 1))
    runner_of(target_of(target)).check_installed()
    framework = framework_of(model)
    check_finite_weights(framework.read(model))
    samples = LabelledSamples.of(data, model, seed=seed)
    plan = TrainingPlan(epochs, batch_size, learning_rate, seed)
    folder = CompressionFolder(output, overwrite=overwrite)
    say = _printed if verbose else _silent
    identity = {
        "tfmp": version(),
        "model": array_digest(*model.get_weights()),
        "data": array_digest(*samples.arrays),
        **dataclasses.asdict(wish),
        **dataclasses.asdict(plan),
    }
    with folder.opened(identity, command):
        if folder.is_complete:
            say(f"{folder.path} has the result of this run already")
            return RunReport.from_json(folder.path / REPORT)
        export = {"target": target, "mode": "small"}
        shows = bool(verbose) and sys.stdout.isatty()
        workshop = Workshop(model, samples, plan, work=folder.work, export=export, shows_progress=shows)
        ladder = Ladder(workshop, wish, say)
        best = ladder.climb()
        say("comparing the file with its models")
        report, made = _report(ladder, best, command)
        measured = folder.work / SENSITIVITY
        folder.publish(best.files | ({SENSITIVITY: measured} if measured.exists() else {}))
        write_overlays(made, folder.path / OVERLAYS, overwrite=True)
        report.to_html(folder.path / PAGE, overwrite=True)
        report.to_json(folder.path / REPORT, overwrite=True)
        folder.finish()
    return report


def _report(ladder: Ladder, best: WayResult, command: str) -> tuple[RunReport, tuple[Overlay, ...]]:
    """Returns the report and the overlays of the result that is kept, measured on the test samples."""
    workshop, wish = ladder.workshop, ladder.wish
    model, test, fixed = workshop.model, workshop.samples.test, best.model()
    path = next(path for path in best.files.values() if path.suffix == ".tflite")
    verified, disagreement = _verified(fixed, path, test[0], model)
    accuracies = {
        "float": workshop.accuracy(model, test),
        "fixed": workshop.accuracy(fixed, test),
        "file": float(evaluate_tflite(path, test, metrics=None)),  # type: ignore[arg-type]  # one output of classes
    }
    checks = wish.checks(ladder.found(best, accuracies["float"] - accuracies["file"]))
    if disagreement:
        checks.append(WishCheck("errors of the file's arithmetic", 0, 1))
    sensitivity = ladder.sensitivity
    scores = sensitivity.scores if sensitivity is not None else {}
    cost = wish.size_cost if wish.bitops_like is None else "bitops"
    report = RunReport(
        model.name,
        command,
        versions=package_versions(),
        asked=wish.words,
        checks=checks,
        attempts=tuple(ladder.attempts),
        conclusion=" ".join(
            filter(None, (conclusion(ladder, checks, workshop.samples.has_test), rounding_note(verified)))
        ),
        advice=[*advice(ladder, checks), *([disagreement] if disagreement else [])],
        accuracies=accuracies,
        num_samples=len(test[1]),
        layers=network_layers(fixed, file=verified.file, scores=scores, hardware=_HARDWARE),
        file_bytes=verified.file.bytes_by_role,
        sensitivities=scores,
        sensitivity_error=sensitivity.error if sensitivity is not None else "",
        forecast=sensitivity.forecast(cost=cost) if sensitivity is not None else None,
        history=best.history,
        hardware=_HARDWARE,
        parity=file_parity(verified),
        operators=verified.operators,
    )
    return report, overlays(verified.file, operators=verified.operators, harms=report.harms)


def _verified(fixed: KerasModel, path: pathlib.Path, inputs: Any, model: KerasModel) -> tuple[TFLiteReport, str]:
    """Returns the comparison of a file with its models, and in words where it does not compute its own integers."""
    samples = map_leaves(lambda array: array[:_VERIFIED], inputs)
    try:
        return compare_tflite(fixed, path, samples, reference=model, tolerance=_EXACT), ""
    except ValueError as error:
        return compare_tflite(fixed, path, samples, reference=model), str(error)


def _printed(text: str) -> None:
    print(text, flush=True)


def _silent(text: str) -> None:
    pass
