"""Layers that compute with numbers instead of codes: indices, comparisons and casts."""

from tfmp.graph.integer_graph import COMPARISONS, compared_type
from tfmp.operators.fold_error import FoldError
from tfmp.operators.operator import NUMBERS, Operator, always, as_inputs

_LOGICAL = ("logical_and", "logical_or", "logical_not")
_OPERAND = ("operand", "operand_first")


def lower_numbers(lowering, call, codes):
    """The codes of numbers, for a layer that reads codes."""
    tensor = call.outputs[0]
    numbers = lowering.numbers_as("float32", tensor)
    return lowering.builder.add("quantize", (numbers,), f"{tensor}_codes", lowering.shape(tensor), codes)


def index_numbers(lowering, call):
    """The position of the largest or smallest number."""
    source = lowering.numbers_as("float32", call.inputs[0])
    return _add(lowering, call, (source,), index_attributes(lowering.graph, call))


def index_attributes(graph, call):
    """Returns the attributes of an `arg_max` or `arg_min` as `IntegerOperation` has them."""
    layer, rank = graph.layer_of(call), len(graph.tensors[call.inputs[0]].shape)
    axis = layer.attributes["axis"] % rank
    if axis == 0:
        raise FoldError(layer.name, "it compares samples with each other", "Give it another axis than the first.")
    return {"axis": axis, "keepdims": len(graph.tensors[call.outputs[0]].shape) == rank}


def comparison_numbers(lowering, call):
    """Which numbers are greater, equal, ... than others or than a constant."""
    attributes = lowering.graph.layer_of(call).attributes
    dtype = compared_type(
        [lowering.graph.tensors[source].dtype for source in call.inputs], attributes.get("operand", 0)
    )
    sources = [lowering.numbers_as(dtype, source) for source in call.inputs]
    return _add(lowering, call, sources, {key: attributes[key] for key in _OPERAND if key in attributes})


def logical_numbers(lowering, call):
    """What is true of numbers that are not zero."""
    return _add(lowering, call, [lowering.numbers_as("bool", source) for source in call.inputs], {})


def cast_numbers(lowering, call):
    """Numbers in another type."""
    return _add(lowering, call, [lowering.numbers(source) for source in call.inputs], {})


def _add(lowering, call, sources, attributes):
    layer, output = lowering.graph.layer_of(call), lowering.graph.tensors[call.outputs[0]]
    return lowering.builder.add(
        layer.kind, sources, layer.name, output.shape, None, attributes=attributes, layer=layer.name, dtype=output.dtype
    )


def _of_numbers(numbers, **options):
    return Operator(lower_numbers, reads=NUMBERS, numbers=numbers, **options)


OPERATORS = {
    "cast": _of_numbers(cast_numbers, non_negative=as_inputs),
    "arg_max": _of_numbers(index_numbers, non_negative=always),
    "arg_min": _of_numbers(index_numbers, non_negative=always),
    **dict.fromkeys(COMPARISONS, _of_numbers(comparison_numbers, non_negative=always)),
    **dict.fromkeys(_LOGICAL, _of_numbers(logical_numbers, non_negative=always)),
}
