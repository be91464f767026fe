"""From a fixed model to a TFLite file."""

import importlib.metadata
import json
import os

from tfmp.bindings import binding
from tfmp.export.flatbuffer.packing import with_metadata
from tfmp.export.flatbuffer.write_tflite import write_tflite
from tfmp.export.verify import verified
from tfmp.transform.fold import fold_graph
from tfmp.types import TFLiteReport
from tfmp.types.atomic_file import check_writable, write_atomically

MODES = ("fast",)
METADATA_NAME = "tfmp"


def export_tflite(
    fixed,
    path,
    *,
    mode="fast",
    verify=None,
    batch_size=1,
    input_type="float32",
    output_type="float32",
    overwrite=False,
) -> TFLiteReport:
    """Writes a fixed model as a TFLite file in integers, and compares the file with the model.

    The file computes what `tfmp.fold(fixed)` computes, with the codes that were trained. Its signature,
    `"serving_default"`, has the names of the model's inputs and outputs; its metadata carry the bits of every layer.

    Args:
        fixed: What `tfmp.fix` returned, trained or calibrated.
        path: The file to write.
        mode: `"fast"`: every weight in INT8, which the runtime's fastest kernels read.
        verify: Inputs with which the file is run and compared with the folded model before it is written: an array, a
            structure of arrays, or a `tf.data.Dataset` of which the first batch is used.
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
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {', '.join(MODES)}. Received: {mode!r}")
    check_writable(path, overwrite)
    bound = binding.of(fixed)
    graph = bound.read(fixed)
    integer_graph = fold_graph(graph)
    bits = quantized_bits(graph)
    metadata = {
        METADATA_NAME: json.dumps({"tfmp": importlib.metadata.version("tfmp"), "mode": mode, "bits": bits}).encode()
    }
    content = write_tflite(integer_graph, batch_size=batch_size, input_type=input_type, output_type=output_type)
    content = with_metadata(content, metadata)
    agreement = {}
    if verify is not None:
        floating = content if input_type == output_type == "float32" else write_tflite(integer_graph)
        agreement = verified(integer_graph, bound.write_integer(integer_graph), floating, floating, verify)
    write_atomically(path, content, overwrite=overwrite)
    return TFLiteReport(os.fspath(path), len(content), mode, bits, **agreement)


def quantized_bits(graph):
    """Layer name to `(weight_bits, activation_bits)` of every layer with quantized weights."""
    return {
        layer.name: (layer.weight.bits[0], layer.activation.bits[0])
        for layer in graph.in_order()
        if layer.shape is not None and layer.is_quantized
    }
