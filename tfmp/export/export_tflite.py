"""From a fixed model to a TFLite file."""

import dataclasses

from tfmp.bindings import binding
from tfmp.export.check_agreement import check_agreement
from tfmp.export.compare_tflite import agreement
from tfmp.export.file_contents import file_contents
from tfmp.export.file_metadata import with_own_metadata
from tfmp.export.flatbuffer.write_tflite import write_tflite
from tfmp.export.interpreter import Interpreter
from tfmp.transform.fold import fold_graph
from tfmp.types import TFLiteReport
from tfmp.types.atomic_file import check_writable, write_atomically
from tfmp.types.weight_storage import check_mode


def export_tflite(
    fixed,
    path,
    *,
    mode="fast",
    verify=None,
    labels=(),
    batch_size=1,
    input_type="float32",
    output_type="float32",
    overwrite=False,
) -> TFLiteReport:
    """Writes a fixed model as a TFLite file in integers, and compares the file with the model.

    The file computes what `tfmp.fold(fixed)` computes, with the codes that were trained. Its signature,
    `"serving_default"`, has the names of the model's inputs and outputs; its metadata carry the bits of every layer,
    `tfmp.inspect(path)` reads them.

    Args:
        fixed: What `tfmp.fix` returned, trained or calibrated.
        path: The file to write.
        mode: How weights are stored. `"fast"`: in INT8, which the runtime's fastest kernels read. `"small"`: packed, as
            INT4 or INT2, wherever the runtime computes them exactly and the file gets smaller.
        verify: Inputs with which the file is run and compared with the folded model before it is written: an array, a
            structure of arrays, or a `tf.data.Dataset` of which the first batch is used.
        labels: Names of the classes, one for each number of the single output.
        batch_size: The fixed batch of the file.
        input_type: `"float32"`, `"int8"` or `"uint8"`.
        output_type: The same for outputs.
        overwrite: True to replace an existing file.

    Returns:
        A `TFLiteReport`; `print` it.

    Raises:
        ValueError: If bits are open, a range was never calibrated, a layer has no integer form, an argument is
            unknown, or the file and the model disagree. Nothing is written then.
        OSError: If the file exists and `overwrite` is False, or the folder cannot be written.

    Example:
        >>> report = tfmp.export_tflite(fixed, "model.tflite", verify=x_test[:256])
    """
    check_mode(mode)
    labels = _checked_labels(labels)
    check_writable(path, overwrite)
    graph = binding.of(fixed).read(fixed)
    options = {"batch_size": batch_size, "input_type": input_type, "output_type": output_type}
    content = write_tflite(fold_graph(graph, mode=mode), **options)
    content = with_own_metadata(content, mode=mode, bits=quantized_bits(graph), labels=labels)
    interpreter = Interpreter(content)
    report = TFLiteReport(file_contents(interpreter, path))
    if verify is not None:
        report = dataclasses.replace(report, **agreement(fixed, interpreter, verify, mode=mode))
        check_agreement(report)
    write_atomically(path, content, overwrite=overwrite)
    return report


def _checked_labels(labels):
    if isinstance(labels, str) or not all(isinstance(label, str) for label in labels):
        raise TypeError(f"`labels` must be a sequence of names. Received: {labels!r}")
    return tuple(labels)


def quantized_bits(graph):
    """Layer name to `(weight_bits, activation_bits)` of every layer with quantized weights."""
    return {
        layer.name: (layer.weight.bits[0], layer.activation.bits[0])
        for layer in graph.in_order()
        if layer.shape is not None and layer.is_quantized
    }
