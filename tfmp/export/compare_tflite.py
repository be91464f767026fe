"""A file against the model that it was written from."""

from tfmp.bindings import binding
from tfmp.data.batches import first_samples, named_batches
from tfmp.data.model_inputs import ModelInputs
from tfmp.export.agreement import float_agreement, integer_agreement, refuse
from tfmp.export.file_contents import file_contents
from tfmp.export.file_metadata import FLOAT, MODES, quantized_bits
from tfmp.export.interpreter import Interpreter
from tfmp.export.plain_function import PlainFunction
from tfmp.transform.fold import check_fixed, fold_graph
from tfmp.transform.signature_names import signature_inputs, signature_outputs
from tfmp.types import TFLiteReport

_SAMPLES = 256


def compare_tflite(fixed, path, batch) -> TFLiteReport:
    """Runs a file and compares what it computes with the model that it was exported from.

    A file of integers is compared with `tfmp.fold(fixed, mode=)`: every operator, given the file's own input codes, and
    from end to end. A file in floating point is compared with `fixed` itself, from end to end.

    Args:
        fixed: The model that was exported, with the weights that it had then.
        path: The file.
        batch: Inputs in any form of data, see `tfmp.relax`; the first 256 samples are used.

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
    graph = bound.read(fixed, weights=mode != FLOAT)
    samples = _named_samples(graph, batch)
    if mode == FLOAT:
        return float_agreement(PlainFunction(fixed, graph), signature_outputs(graph), interpreter, samples)
    graph = fold_graph(graph, mode=mode)
    return integer_agreement(graph, bound.write_integer(graph), interpreter, samples)


def _named_samples(graph, batch):
    """The first samples of the data, as arrays by the names that the file has for the inputs of a model."""
    arrays = first_samples(named_batches(batch, inputs=ModelInputs.of(graph), name="Verification data"), _SAMPLES)
    return {name: arrays[tensor] for tensor, name in signature_inputs(graph).items()}
