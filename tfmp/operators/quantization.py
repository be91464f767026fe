"""Inputs of the model, and layers that quantize a tensor."""

from tfmp.graph import Call
from tfmp.operators.comparisons import lower_numbers
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operator import QUANTIZES, Operator, as_inputs, given


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
