"""Operators that convert between numbers and codes."""

import numpy as np

from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.runtime_limits import INT8_LOW, UINT8_OFFSET
from tfmp.lowering.writing.sink import Options, Quantization
from tfmp.lowering.writing.tensor_table import TensorTable

NUMBER_TYPES = ("float32", "int8", "uint8")
INTEGERS = ("int8", "uint8")


def add_input(table: TensorTable, name: str, dtype: str) -> int:
    """Adds an input of the graph, as numbers or as codes. Returns its index.

    8-bit integers are used as codes; `dtype` is that of inputs in floating point.
    """
    input_type = table.graph.tensors[name].dtype
    if input_type in INTEGERS:
        index = table.sink.tensor(name, table.shape(name), dtype=input_type, quantization=Quantization((1.0,)))
        table.alias(name, index)
        return index
    if dtype == "float32" or input_type != "float32":
        return table.index(name)
    readers = [operation for operation in table.graph.operations if name in operation.inputs]
    grids = {table.grid(operation.output) for operation in readers}
    if len(grids) != 1 or any(operation.kind != "quantize" for operation in readers):
        raise ValueError(
            f"An input of type {dtype} needs one grid for all its readers. Received: {len(grids)} grids at input "
            f"{name!r}. Use `input_type='float32'`."
        )
    zero_point = grids.pop().zero_point + (UINT8_OFFSET if dtype == "uint8" else 0)
    index = table.integers(name, readers[0].output, zero_point=zero_point, dtype=dtype)
    table.alias(name, index)
    return index


def write_quantize(table: TensorTable, operation: IntegerOperation, dtype: str) -> None:
    """Writes QUANTIZE, or nothing if the input has these codes already."""
    source, input_type = table.index(operation.inputs[0]), table.graph.tensors[operation.inputs[0]].dtype
    if input_type not in INTEGERS and dtype == "float32":
        table.add_operator(operation, "QUANTIZE", [source], version=1, options=Options("QuantizeOptions"))
        return
    grid = table.grid(operation.output)
    if input_type in INTEGERS:
        limits, dtype = np.iinfo(input_type), input_type
        stored = int(limits.min), int(limits.max)
    else:
        stored = INT8_LOW - grid.zero_point, grid.high
    if dtype == "int8" and table.bounds(operation) == stored:
        table.alias(operation.output, source)
        return
    options = Options("QuantizeOptions")
    table.add_operator(operation, "QUANTIZE", [source], version=1, options=options, reach=stored, keeps_zero_point=True)


def write_dequantize(table: TensorTable, operation: IntegerOperation, dtype: str) -> None:
    """Writes DEQUANTIZE; nothing for int8 outputs, and QUANTIZE to UINT8 for uint8 outputs."""
    source = table.index(operation.inputs[0])
    if dtype == "int8":
        table.alias(operation.output, source)
    elif dtype == "uint8":
        zero_point = table.grid(operation.inputs[0]).zero_point + UINT8_OFFSET
        target = table.integers(operation.output, operation.inputs[0], zero_point=zero_point, dtype=dtype)
        table.sink.operator("QUANTIZE", [source], [target], version=1, options=Options("QuantizeOptions"))
        table.alias(operation.output, target)
    else:
        target = table.index(operation.output)
        table.sink.operator("DEQUANTIZE", [source], [target], version=2, options=Options("DequantizeOptions"))
