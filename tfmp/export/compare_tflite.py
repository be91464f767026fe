"""A file against the model that it was written from."""

import numpy as np

from tfmp.bindings import binding
from tfmp.export.agreement import float_agreement, integer_agreement, refuse
from tfmp.export.file_contents import file_contents
from tfmp.export.file_metadata import FLOAT, MODES, quantized_bits
from tfmp.export.interpreter import Interpreter
from tfmp.export.plain_function import PlainFunction
from tfmp.transform.fold import check_fixed, fold_graph
from tfmp.transform.samples import batches
from tfmp.transform.signature_names import signature_inputs, signature_outputs
from tfmp.types import TFLiteReport


def compare_tflite(fixed, path, batch) -> TFLiteReport:
    """Runs a file and compares what it computes with the model that it was exported from.

    A file of integers is compared with `tfmp.fold(fixed, mode=)`: every operator, given the file's own input codes, and
    from end to end. A file in floating point is compared with `fixed` itself, from end to end.

    Args:
        fixed: The model that was exported, with the weights that it had then.
        path: The file.
        batch: Inputs as the model takes them: an array, a structure of arrays, or a `tf.data.Dataset`, of which the
            first batch is used.

    Returns:
        A `TFLiteReport`; `print` it. `report.first_difference` is the first operator that differs by more than 1.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, no TFLite file, not written by tfmp or of another model, or the batch is
            empty, not finite or of another shape.

    Example:
        >>> report = tfmp.compare_tflite(fixed, "model.tflite", x_test[:256])
    """
    interpreter = Interpreter(path)
    file = file_contents(interpreter, path)
    if file.mode not in MODES:
        raise ValueError(
            f"Expected a file of mode {' or '.join(MODES)}. Received: {interpreter.label} of mode {file.mode!r}, "
            f"written by tfmp {file.version}. Compare it with that version."
        )
    graph = binding.of(fixed).read(fixed, weights=False)
    check_fixed(graph)
    bits = quantized_bits(graph)
    if bits != file.bits:
        names = [name for name in {**bits, **file.bits} if bits.get(name) != file.bits.get(name)]
        refuse(interpreter, f"in which layers have other bits: {', '.join(names)}")
    return TFLiteReport(file, **agreement(fixed, interpreter, batch, mode=file.mode))


def agreement(fixed, interpreter, batch, *, mode) -> dict:
    """Returns the fields of a `TFLiteReport` that say how a file agrees with its model; see `compare_tflite`."""
    bound = binding.of(fixed)
    if mode == FLOAT:
        graph = bound.read(fixed, weights=False)
        samples = _named_samples(signature_inputs(graph).values(), batch)
        return float_agreement(PlainFunction(fixed, graph), signature_outputs(graph), interpreter, samples)
    graph = fold_graph(bound.read(fixed), mode=mode)
    return integer_agreement(graph, bound.write_integer(graph), interpreter, _named_samples(graph.inputs, batch))


def _named_samples(names, batch):
    """The first batch of data in the structure of a model's inputs, as arrays by the names of the inputs."""
    samples = next(batches(batch, batch_size=256, name="Verification data"))
    if not isinstance(samples, dict):
        arrays = samples if isinstance(samples, list | tuple) else [samples]
        samples = dict(zip(names, arrays, strict=False)) if len(arrays) == len(names) else {}
    if set(samples) != set(names):
        raise ValueError(
            f"Verification data must have one array per input of the model: {', '.join(names)}; as a dict, by these "
            f"names. Received: {', '.join(samples) or 'another number of arrays'}"
        )
    for name in names:
        if np.asarray(samples[name]).dtype.kind not in "fiub":
            raise ValueError(
                f"Verification data must be numbers. Received: {np.asarray(samples[name]).dtype} for input {name!r}."
            )
    return {name: samples[name] for name in names}
