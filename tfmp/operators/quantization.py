"""Where codes come from: the inputs of the model, and the layers that store a tensor."""

from tfmp.operators.comparisons import fold_numbers
from tfmp.operators.integer_builder import Codes
from tfmp.operators.operator import QUANTIZES, Rule, as_inputs


def fold_input(folder, call, codes):
    """Numbers of the caller, quantized; integers of 8 bits are codes as they are."""
    tensor = call.outputs[0]
    grid = folder.graph.tensors[tensor].grid
    if grid is None:
        return fold_numbers(folder, call, codes)
    own = Codes.all_of(grid)
    if codes != own:
        return folder.requantized(tensor, folder.demand(tensor, own), own, codes)
    return folder.builder.add("quantize", (folder.inputs[tensor],), f"{tensor}_codes", folder.shape(tensor), codes)


def input_numbers(folder, call):
    """What the caller gives."""
    return folder.inputs[call.outputs[0]]


def fold_quantize(folder, call, codes):
    """The stored codes, requantized for a reader that wants others."""
    own = Codes.all_of(folder.grid(folder.graph.layer_of(call)))
    return folder.requantized(call.outputs[0], folder.demand(call.inputs[0], own), own, codes)


RULES = {
    "input": Rule(fold_input, numbers=input_numbers),
    "quantize": Rule(fold_quantize, reads=QUANTIZES, non_negative=as_inputs),
}
