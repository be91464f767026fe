"""Inputs of the model, layers that quantize a tensor, and the integer operations between numbers and codes.

- quantize: q(x * float32(1 / scale)). It also reads the numbers of a uint8 or int8 tensor, on the grid that holds them
  all with scale 1.
- dequantize: x * scale, a float32 number.
- embedding: rows of the constant `table`, `[count, channels]`, int8, at int32 positions; the table has codes with the
  zero point of the output. Quantizing a row of numbers and taking a row of codes is the same.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmp.graph import Call
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.open_values import Constant, OpenArray, is_open, scales_of
from tfmp.graph.runtime_limits import INT8_LOW, UINT8_OFFSET
from tfmp.operators.comparisons import lower_numbers
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import NUMBERS, QUANTIZES, Attributes, Operator, as_inputs, given
from tfmp.operators.writing import Options, Quantization, TensorTable
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


def lower_embedding(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the rows of a table that is quantized as its reader needs it."""
    layer = lowering.graph.layer_of(call)
    indices, shape = lowering.numbers_as("int32", call.inputs[0]), lowering.shape(call.outputs[0])
    if is_open(codes.grid):
        sizes = layer.attributes["input_dim"], layer.attributes["output_dim"]
        table: Constant = OpenArray(sizes, np.int8, (layer.name, codes))
    else:
        numbers = np.asarray(layer.weights["embeddings"], np.float32)
        rounded = np.rint(numbers * np.float32(1 / np.float32(codes.grid.scale)))
        table = (np.clip(rounded, codes.low, codes.high) + codes.grid.zero_point).astype(np.int8)
    constants = {"table": table}
    return lowering.builder.add(
        "embedding", (indices,), layer.name, shape, codes, constants=constants, layer=layer.name
    )


def write_embedding(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes GATHER of rows of the table."""
    grid = table.grid(operation.output)
    quantization = Quantization(scales_of(grid), grid.zero_point)
    rows = table.sink.constant(f"{operation.name}/table", operation.constants["table"], quantization=quantization)
    inputs, outputs = [rows, table.index(operation.inputs[0])], [table.index(operation.output)]
    table.sink.operator("GATHER", inputs, outputs, version=2, options=Options("GatherOptions", {"axis": 0}))


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


def _embedding(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    if config.get("mask_zero") or config.get("lora_rank"):
        return None
    return {name: config[name] for name in ("input_dim", "output_dim")}


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
    Operator(
        "embedding",
        lower_embedding,
        classes={"Embedding": _embedding},
        forms={"Embedding": "without `mask_zero` and LoRA"},
        order_free=True,
        reads=NUMBERS,
    ),
)
OPERATIONS = (
    OperationKind("quantize", write_quantize),
    OperationKind("dequantize", write_dequantize),
    OperationKind("embedding", write_embedding),
)
