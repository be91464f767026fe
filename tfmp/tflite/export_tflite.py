"""`tfmp.export_tflite`: a fixed model as a TFLite file."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_choice, check_instances
from tfmp.files.atomic_file import check_space, check_writable, write_atomically
from tfmp.graph.targets import FIXED_POINT, LITERT, target_of
from tfmp.operators.float_layer import float_layers
from tfmp.reports import TFLiteReport, Tolerance
from tfmp.tflite.compare_tflite import check_any_inputs, check_tolerance, compared
from tfmp.tflite.convert_float import convert_float
from tfmp.tflite.file_contents import file_contents
from tfmp.tflite.file_metadata import FLOAT, MODES, STORAGE_MODES, quantized_bits, with_own_metadata
from tfmp.tflite.model_function import reference_function
from tfmp.tflite.open_file import runner_of
from tfmp.tflite.writer.write_tflite import write_tflite
from tfmp.transform.fold import fold_graph


def export_tflite(
    fixed: KerasModel,
    path: str | os.PathLike[str],
    *,
    target: str = "litert",
    mode: str | None = None,
    verify: Any = None,
    reference: KerasModel | None = None,
    tolerance: Tolerance | None = Tolerance(),  # noqa: B008 (frozen)
    labels: Sequence[str] = (),
    batch_size: int = 1,
    input_type: str | None = None,
    output_type: str | None = None,
    overwrite: bool = False,
) -> TFLiteReport:
    """Writes a fixed model as a TFLite file, and compares the file with its models.

    The file computes the same as `tfmp.fold(fixed, mode=mode, target=target)`, in integers, with the trained codes; in
    mode `"float"` the same as `fixed`. Its signature, `"serving_default"`, has the names of the model's inputs and
    outputs. Its metadata contain the bits of every layer; `tfmp.inspect(path)` reads them. A layer without an integer
    form runs in floating point, with its weights as float32, and its numbers equal those of Keras to 1e-5.

    Args:
        fixed: A fixed model, trained or calibrated.
        path: The file to write.
        target: The runtime of the file. `"litert"`, which was TensorFlow Lite; or `"micro"`, TensorFlow Lite for
            Microcontrollers, in which the file is then run before it is written: every code must be that of the folded
            model, whatever the tolerance, for random inputs if none are given. Needs the extra `micro`.
        mode: How weights are stored. `"fast"`: INT8, for the fastest kernels of the runtime. `"small"`: packed as INT4
            or INT2 wherever the runtime computes them exactly and the file becomes smaller. `"float"`: packed, with
            arithmetic in floating point, for any layer that TensorFlow's converter supports; not for `"micro"`, whose
            `"small"` stores 4 bits as INT4 and other bits as indices into tables of codes, where it is smaller. By
            default `"fast"` for `"litert"` and `"small"` for `"micro"`.
        verify: Inputs, in any form that `tfmp.relax` takes. Before the file is written, it is run on all of them and
            compared with its models, as in `tfmp.compare_tflite`.
        reference: The float model that was given to `tfmp.relax`, compared as well; or None.
        tolerance: The `Tolerance` that the file must meet to be written; None for no check.
        labels: Names of the classes, one for each number of the single output.
        batch_size: The fixed batch size of the file, unless that of the model is fixed.
        input_type: `"float32"`, `"int8"` or `"uint8"`; in mode `"float"` that of the model. Inputs of integers and
            Booleans keep their own type. By default `"float32"`, for `"micro"` `"int8"`.
        output_type: The same for outputs.
        overwrite: True to replace an existing file.

    Returns:
        A `TFLiteReport`; `print` it.

    Raises:
        ValueError: If bits are open, a range was never calibrated, a layer has no integer form, an argument is
            unknown, the target lacks an operation, or the agreement with a model is below `tolerance`. Nothing is
            written then.
        ImportError: If the target is `"micro"` and the package `tflite-micro` is not installed.
        OSError: If the file exists and `overwrite` is False, or the folder cannot be written or has no space.

    Example:
        >>> report = tfmp.export_tflite(fixed, "model.tflite", verify=x_test[:256], reference=model)
    """
    runtime = target_of(target)
    mode = check_choice("mode", runtime.mode if mode is None else mode, MODES if runtime == LITERT else STORAGE_MODES)
    labels = _checked_labels(labels)
    check_tolerance(tolerance)
    written = check_writable(path, overwrite)
    runner_of(runtime).check_installed()
    graph = framework_of(fixed, "fixed").read(fixed)
    if reference is not None:
        _check_reference(reference, graph, verify)
    types = (runtime.number_type if each is None else each for each in (input_type, output_type))
    options: dict[str, Any] = dict(zip(("input_type", "output_type"), types, strict=True), batch_size=batch_size)
    if mode == FLOAT:
        content = convert_float(graph, **options)
    else:
        content = write_tflite(fold_graph(graph, mode=mode, target=runtime), **options, target=runtime)
    load = runner_of(runtime)
    content = with_own_metadata(
        load(content),
        target=runtime,
        mode=mode,
        bits=quantized_bits(graph),
        labels=labels,
        floating=() if mode == FLOAT else float_layers(graph),
    )
    check_space(os.path.dirname(written), len(content))
    interpreter = load(content)
    report = TFLiteReport(file_contents(interpreter, path))
    if verify is None and runtime.arithmetic == FIXED_POINT:
        check_any_inputs(graph, report, framework_of(fixed), interpreter)
    elif verify is not None:
        report = compared(report, fixed, interpreter, verify, reference=reference, tolerance=tolerance)
    write_atomically(path, content, overwrite=overwrite)
    return report


def _check_reference(reference, graph, verify):
    if verify is None:
        raise ValueError("`reference` is compared on the samples of `verify`. Received: a reference and verify=None")
    reference_function(reference, graph)


def _checked_labels(labels):
    is_many = isinstance(labels, Iterable) and not isinstance(labels, str)
    return check_instances("labels", tuple(labels) if is_many else labels, str, "names")
