"""Exports a fixed model in floating point through TensorFlow's converter."""

import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tfmp.bindings.float_conversion import MissingOperatorError, converted
from tfmp.bindings.framework import framework_named
from tfmp.checks import check_choice, check_integer
from tfmp.graph import Graph
from tfmp.lowering.signature_names import signature_inputs, signature_outputs
from tfmp.tflite.model_function import PlainFunction
from tfmp.tflite.packed_weights import pack_weights
from tfmp.tflite.writer.packing import pack, unpack
from tfmp.tflite.writer.write_tflite import SIGNATURE
from tfmp.transform.edits.floating_point import dequantized, with_plain_indices


def convert_float(
    graph: Graph, *, batch_size: int = 1, input_type: str = "float32", output_type: str = "float32"
) -> bytes:
    """Converts a fixed model and packs the weights of its quantized layers, followed by DEQUANTIZE.

    Args:
        graph: The model.
        batch_size: The fixed size of the first axis.
        input_type: Only `"float32"`.
        output_type: Only `"float32"`.

    Returns:
        The bytes of the file.

    Raises:
        ValueError: If bits are open, a range was never calibrated, a size other than the batch is free, or the
            converter has no operator for a layer.
    """
    for argument, value in (("input_type", input_type), ("output_type", output_type)):
        check_choice(argument, value, ("float32",), hint="Mode 'float' has no codes: use mode 'fast' or 'small'")
    batch_size = check_integer("batch_size", batch_size, at_least=1)
    plain, codes = dequantized(with_plain_indices(graph))
    network = framework_named(graph.framework).write(plain)  # this reference keeps its variables alive
    function = tf.function(
        PlainFunction(network, plain),
        input_signature=[_specification(graph.tensors[name], batch_size) for name in graph.input_names],
    ).get_concrete_function()
    model = unpack(_converted(function, graph.name))
    inputs, outputs = tuple(signature_inputs(graph).values()), signature_outputs(graph)
    subgraph = model.subgraphs[0]
    subgraph.name = graph.name
    for tensor in subgraph.tensors:
        # The converter joins the names of all fused operations.
        tensor.name = (tensor.name or b"").decode().split(";")[0]
    model.signatureDefs = [
        _signature(zip(inputs, subgraph.inputs, strict=True), zip(outputs, subgraph.outputs, strict=True))
    ]
    pack_weights(model, codes)
    return pack(model)


def _specification(tensor, batch_size):
    fixed_size, *sizes = tensor.shape
    if None in sizes:
        raise ValueError(
            f"Only the batch may be free in a file of fixed sizes. Received: shape {tensor.shape} of input "
            f"`{tensor.name}`. Build the model with a fixed input shape."
        )
    return tf.TensorSpec((fixed_size or batch_size, *sizes), tensor.dtype)


def _converted(function, name):
    try:
        return converted(function)
    except MissingOperatorError as error:
        raise ValueError(
            f"TensorFlow's converter cannot write model `{name}`: the runtime has no operator for "
            f"{error.places or 'one of its layers'}. Replace this layer, or omit it from the exported model. "
            f"The converter says: {error.__cause__}"
        ) from error


def _signature(inputs, outputs):
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs, signature.outputs = ([_entry(*pair) for pair in pairs] for pairs in (inputs, outputs))
    return signature


def _entry(name, index):
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, int(index)
    return entry
