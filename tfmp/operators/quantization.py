"""Inputs of the model, layers that quantize a tensor, and the integer operations between numbers and codes.

- quantize: q(x * float32(1 / scale)). It also reads the numbers of a uint8 or int8 tensor, on the grid that holds them
  all with scale 1.
- dequantize: x * scale, a float32 number.
"""

import numpy as np

from tfmp.graph import Call
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.runtime_limits import INT8_LOW, UINT8_OFFSET
from tfmp.operators.comparisons import lower_numbers
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import QUANTIZES, Operator, as_inputs, given
from tfmp.operators.writing import Options, TensorTable
from tfmp.operators.writing.tensor_table import CODE_TYPES


def lower_input(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Quantizes the numbers of an input; 8-bit integers are used as codes."""
    tensor = call.outputs[0]
    grid = lowering.graph.tensors[tensor].grid
    if grid is None:
        return lower_numbers(lowering, call, codes)
    input_codes = Codes.all_of(grid)
    if codes != input_codes:
        return lowering.requantized(tensor, lowering.demand(tensor, input_codes), input_codes, codes)
    return lowering.builder.add(
        "quantize", (lowering.inputs[tensor],), f"{tensor}_codes", lowering.shape(tensor), codes
    )


def input_numbers(lowering: LoweringContext, call: Call) -> str:
    """Returns the name of the tensor with the caller's numbers."""
    return lowering.inputs[call.outputs[0]]


def lower_quantize(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Returns the stored codes, requantized if the reader needs others."""
    stored = Codes.all_of(lowering.grid(lowering.graph.layer_of(call)))
    return lowering.requantized(call.outputs[0], lowering.demand(call.inputs[0], stored), stored, codes)


def write_quantize(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes QUANTIZE, or nothing if the input has these codes already."""
    source, input_type = table.index(operation.inputs[0]), table.graph.tensors[operation.inputs[0]].dtype
    dtype = table.input_type if operation.inputs[0] in table.graph.inputs else "float32"
    if input_type not in CODE_TYPES and dtype == "float32":
        table.add_operator(operation, "QUANTIZE", [source], version=1, options=Options("QuantizeOptions"))
        return
    grid = table.grid(operation.output)
    if input_type in CODE_TYPES:
        limits, dtype = np.iinfo(input_type), input_type
        stored = int(limits.min), int(limits.max)
    else:
        stored = INT8_LOW - grid.zero_point, grid.high
    if dtype == "int8" and table.bounds(operation) == stored:
        table.alias(operation.output, source)
        return
    options = Options("QuantizeOptions")
    table.add_operator(operation, "QUANTIZE", [source], version=1, options=options, reach=stored, keeps_zero_point=True)


def write_dequantize(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes DEQUANTIZE; nothing for int8 outputs, and QUANTIZE to UINT8 for uint8 outputs."""
    source = table.index(operation.inputs[0])
    dtype = table.output_type if operation.output in table.graph.outputs else "float32"
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


OPERATORS = (
    Operator(
        "input",
        lower_input,
        classes={"InputLayer": given()},
        order_free=True,
        numbers=input_numbers,
    ),
    Operator(
        "quantize",
        lower_quantize,
        classes={"Quantize": given()},
        order_free=True,
        reads=QUANTIZES,
        non_negative=as_inputs,
        each_value=True,
        keeps_values=True,
    ),
)
OPERATIONS = (OperationKind("quantize", write_quantize), OperationKind("dequantize", write_dequantize))
