"""`tfmp.compare_tflite`: compares a file with its models."""

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_instance
from tfmp.data.batches import named_batches
from tfmp.data.model_inputs import ModelInputs
from tfmp.graph import Graph
from tfmp.graph.targets import FIXED_POINT, target_of
from tfmp.lowering.signature_names import signature_inputs, signature_outputs
from tfmp.reports import TFLiteReport, Tolerance
from tfmp.tflite.agreement import float_agreement, integer_agreement, refuse
from tfmp.tflite.check_agreement import check_agreement, first_parting
from tfmp.tflite.exact_file import any_samples, check_exact
from tfmp.tflite.file_contents import file_contents
from tfmp.tflite.file_metadata import FLOAT, MODES, quantized_bits
from tfmp.tflite.file_runner import FileRunner
from tfmp.tflite.model_function import PlainFunction, reference_function
from tfmp.tflite.open_file import open_file
from tfmp.transform.fold import check_fixed, fold_graph
from tfmp.transform.output_kind import VALUE, decisions

_SAMPLES = 256  # per batch


def compare_tflite(
    fixed: KerasModel,
    path: str | os.PathLike[str],
    batch: Any,
    *,
    reference: KerasModel | None = None,
    tolerance: Tolerance | None = None,
) -> TFLiteReport:
    """Runs a file and compares its results with its models.

    An integer file is compared with `tfmp.fold(fixed, mode=)`: every operator, given the input codes of the file, and
    end to end. Every file is compared end to end with `fixed`, as Keras computes it, and with the float model if it is
    given.

    Args:
        fixed: The exported model, with the same weights as at the export.
        path: The file.
        batch: Inputs in any form of data, see `tfmp.relax`. All are used, in parts.
        reference: The float model that was given to `tfmp.relax`; or None.
        tolerance: A `Tolerance` that the file must meet; None to only report.

    Returns:
        A `TFLiteReport`; `print` it. `report.first_difference` is the first operator that differs by more than 1.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, not a TFLite file, not from tfmp or of another model, the batch is empty,
            not finite or of another shape, `reference` has other inputs or outputs, or the agreement is below
            `tolerance`.

    Example:
        >>> report = tfmp.compare_tflite(fixed, "model.tflite", x_test[:256], reference=model)
    """
    check_tolerance(tolerance)
    framework = framework_of(fixed, "fixed")
    interpreter = open_file(path)
    file = file_contents(interpreter, path)
    if file.mode not in MODES:
        raise ValueError(
            f"Expected a file of mode {' or '.join(MODES)}. Received: {interpreter.label} of mode {file.mode!r}, "
            f"written by tfmp {file.version}. Compare it with that version."
        )
    graph = framework.read(fixed, weights=False)
    check_fixed(graph)
    bits = quantized_bits(graph)
    if bits != file.bits:
        names = [name for name in {**bits, **file.bits} if bits.get(name) != file.bits.get(name)]
        refuse(interpreter, f"in which layers have other bits: {', '.join(names)}")
    return compared(TFLiteReport(file), fixed, interpreter, batch, reference=reference, tolerance=tolerance)


def compared(
    report: TFLiteReport,
    fixed: KerasModel,
    interpreter: FileRunner,
    batch: Any,
    *,
    reference: KerasModel | None,
    tolerance: Tolerance | None,
) -> TFLiteReport:
    """Returns a report with the agreement of its file with its models; see `compare_tflite`.

    Raises:
        ValueError: If the agreement is below `tolerance`, unless that is None.
    """
    framework = framework_of(fixed)
    graph = framework.read(fixed, weights=report.mode != FLOAT)
    names = tuple(signature_inputs(graph).values())
    models: dict[str, Callable[..., list[Any]]] = {"trained": PlainFunction(fixed, graph)}
    if reference is not None:
        models["reference"] = reference_function(reference, graph)
    arguments: dict[str, Any] = {"models": models, "decisions": decisions(fixed, graph)}
    parting: Callable[..., tuple[str, float]] | None = None
    target = target_of(report.file.target)
    samples = _named_samples(graph, batch)
    if report.mode == FLOAT:
        fields = float_agreement(names, signature_outputs(graph), interpreter, samples, **arguments)
    else:
        integers = fold_graph(graph, mode=report.mode, target=target)
        folded = framework.write_integer(integers)
        fields = integer_agreement(integers, folded, interpreter, samples, **arguments)
        parting = functools.partial(first_parting, fixed, graph, integers, folded)
    report = dataclasses.replace(report, **fields)
    if target.arithmetic == FIXED_POINT and tolerance is not None:
        check_exact(report, target.words)
    if tolerance is not None:
        check_agreement(
            report, tolerance, lambda: None if parting is None else parting(next(_named_samples(graph, batch)))
        )
    return report


def check_any_inputs(graph: Graph, report: TFLiteReport, framework: Any, interpreter: FileRunner) -> None:
    """Raises `ValueError` if a code of a file differs from its folded model, on random inputs.

    Args:
        graph: The network that was exported, weights included.
        report: The contents of the file.
        framework: The `tfmp.bindings.framework.Framework` of the model.
        interpreter: The interpreter of the file.
    """
    target = target_of(report.file.target)
    integers = fold_graph(graph, mode=report.mode, target=target)
    folded, names = framework.write_integer(integers), integers.output_names
    arguments: dict[str, Any] = {"models": {}, "decisions": dict.fromkeys(names, VALUE)}
    fields = integer_agreement(integers, folded, interpreter, any_samples(interpreter), **arguments)
    check_exact(dataclasses.replace(report, **fields), target.words)


def check_tolerance(tolerance: Any) -> None:
    """Raises `TypeError` unless the argument is a `Tolerance` or None."""
    check_instance("tolerance", tolerance, (Tolerance, type(None)), "a `tfmp.Tolerance`, or None")


def _named_samples(graph, batch):
    """Yields batches of the data as dicts of arrays, by the names of a model's inputs in the file."""
    names = signature_inputs(graph)
    for arrays in named_batches(batch, inputs=ModelInputs.of(graph), batch_size=_SAMPLES, name="Verification data"):
        yield {name: arrays[tensor] for tensor, name in names.items()}
