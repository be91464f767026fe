"""An `IntegerGraph` as the bytes of a TFLite file."""

from tfmp.checks import check_choice, check_integer
from tfmp.graph.integer_graph import COMPARISONS, IntegerGraph
from tfmp.tflite.writer import (
    activations,
    convolutions,
    data_movement,
    elementwise,
    numbers,
    pooling,
    quantize_dequantize,
)
from tfmp.tflite.writer.model_builder import ModelBuilder
from tfmp.tflite.writer.tensor_table import TensorTable

SIGNATURE = "serving_default"

_WRITERS = {
    "conv2d": convolutions.write_conv2d,
    "depthwise_conv2d": convolutions.write_depthwise_conv2d,
    "dense": convolutions.write_dense,
    "conv2d_transpose": convolutions.write_conv2d_transpose,
    "add": elementwise.write_add,
    "subtract": elementwise.write_subtract,
    "multiply": elementwise.write_multiply,
    "activation": activations.write_activation,
    "mean": pooling.write_mean,
    "average_pool": pooling.write_average_pool,
    "max_pool": pooling.write_max_pool,
    "resize": data_movement.write_resize,
    "pad": data_movement.write_pad,
    "slice": data_movement.write_slice,
    "transpose": data_movement.write_transpose,
    "reshape": data_movement.write_reshape,
    "concatenate": data_movement.write_concatenate,
    "softmax": elementwise.write_softmax,
    "cast": numbers.write_cast,
    "arg_max": numbers.write_index,
    "arg_min": numbers.write_index,
    **dict.fromkeys(COMPARISONS, numbers.write_comparison),
    **dict.fromkeys(("logical_and", "logical_or", "logical_not"), numbers.write_logical),
}


def write_tflite(
    graph: IntegerGraph,
    *,
    batch_size: int = 1,
    input_type: str = "float32",
    output_type: str = "float32",
    description: str = "",
) -> bytes:
    """Writes a network with INT8 codes in every tensor.

    The signature `"serving_default"` has the graph's input names and output names.

    Args:
        graph: The network.
        batch_size: The fixed size of the first axis.
        input_type: `"float32"`, or `"int8"` or `"uint8"` to take codes: the tensor's quantization says which. Inputs
            of integers and Booleans keep their own type.
        output_type: The same for outputs.
        description: For humans; the name of the graph if empty.

    Returns:
        The bytes of the file.

    Raises:
        ValueError: If an operation cannot be computed exactly on INT8; the message names it and the way out.

    Example:
        >>> content = write_tflite(graph, batch_size=8)
    """
    batch_size = check_integer("batch_size", batch_size, at_least=1)
    for argument, value in (("input_type", input_type), ("output_type", output_type)):
        check_choice(argument, value, quantize_dequantize.NUMBER_TYPES)
    builder = ModelBuilder()
    table = TensorTable(graph, builder, batch_size)
    inputs = {name: quantize_dequantize.add_input(table, name, input_type) for name in graph.inputs}
    for operation in graph.operations:
        missing = set(operation.inputs).difference(table.names)
        if missing:
            raise ValueError(
                f"Operations must follow those whose outputs they read. Received: {operation.name!r}, which reads "
                f"{sorted(missing)}. Sort the operations of graph {graph.name!r}."
            )
        if operation.kind == "quantize":
            quantize_dequantize.write_quantize(
                table, operation, input_type if operation.inputs[0] in inputs else "float32"
            )
        elif operation.kind == "dequantize":
            is_output = operation.output in graph.outputs
            quantize_dequantize.write_dequantize(table, operation, output_type if is_output else "float32")
        else:
            _WRITERS[operation.kind](table, operation)
    named = zip(graph.output_names, graph.outputs, strict=True)
    signatures = {SIGNATURE: (inputs, {output_name: table.index(name) for output_name, name in named})}
    return builder.finish(graph.name, signatures=signatures, description=description or graph.name)
