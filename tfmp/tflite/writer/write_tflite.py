"""An `IntegerGraph` as the bytes of a TFLite file."""

from tfmp.graph.integer_graph import IntegerGraph
from tfmp.lowering.writing.write_operations import write_operations
from tfmp.tflite.writer.file_sink import FileSink

SIGNATURE = "serving_default"


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
    sink = FileSink()
    inputs, outputs = write_operations(
        graph, sink, batch_size=batch_size, input_type=input_type, output_type=output_type
    )
    return sink.finish(graph.name, signatures={SIGNATURE: (inputs, outputs)}, description=description or graph.name)
