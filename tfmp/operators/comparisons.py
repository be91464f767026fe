"""Layers that compute with numbers instead of codes: indices, comparisons and casts."""

from tfmp.graph.integer_graph import COMPARISONS, compared_type
from tfmp.operators.fold_error import FoldError
from tfmp.operators.operator import NUMBERS, Rule, always, as_inputs

_LOGICAL = ("logical_and", "logical_or", "logical_not")
_OPERAND = ("operand", "operand_first")


def fold_numbers(folder, call, codes):
    """The codes of numbers, for a layer that reads codes."""
    tensor = call.outputs[0]
    numbers = folder.numbers_as("float32", tensor)
    return folder.builder.add("quantize", (numbers,), f"{tensor}_codes", folder.shape(tensor), codes)


def index_numbers(folder, call):
    """The position of the largest or smallest number."""
    source = folder.numbers_as("float32", call.inputs[0])
    return _add(folder, call, (source,), index_attributes(folder.graph, call))


def index_attributes(graph, call):
    """Returns the attributes of an `arg_max` or `arg_min` as `IntegerOperation` has them."""
    layer, rank = graph.layer_of(call), len(graph.tensors[call.inputs[0]].shape)
    axis = layer.attributes["axis"] % rank
    if axis == 0:
        raise FoldError(layer.name, "it compares samples with each other", "Give it another axis than the first.")
    return {"axis": axis, "keepdims": len(graph.tensors[call.outputs[0]].shape) == rank}


def comparison_numbers(folder, call):
    """Which numbers are greater, equal, ... than others or than a constant."""
    attributes = folder.graph.layer_of(call).attributes
    dtype = compared_type([folder.graph.tensors[source].dtype for source in call.inputs], attributes.get("operand", 0))
    sources = [folder.numbers_as(dtype, source) for source in call.inputs]
    return _add(folder, call, sources, {key: attributes[key] for key in _OPERAND if key in attributes})


def logical_numbers(folder, call):
    """What is true of numbers that are not zero."""
    return _add(folder, call, [folder.numbers_as("bool", source) for source in call.inputs], {})


def cast_numbers(folder, call):
    """Numbers in another type."""
    return _add(folder, call, [folder.numbers(source) for source in call.inputs], {})


def _add(folder, call, sources, attributes):
    layer, output = folder.graph.layer_of(call), folder.graph.tensors[call.outputs[0]]
    return folder.builder.add(
        layer.kind, sources, layer.name, output.shape, None, attributes=attributes, layer=layer.name, dtype=output.dtype
    )


def _rule(numbers, **options):
    return Rule(fold_numbers, reads=NUMBERS, numbers=numbers, **options)


RULES = {
    "cast": _rule(cast_numbers, non_negative=as_inputs),
    "arg_max": _rule(index_numbers, non_negative=always),
    "arg_min": _rule(index_numbers, non_negative=always),
    **dict.fromkeys(COMPARISONS, _rule(comparison_numbers, non_negative=always)),
    **dict.fromkeys(_LOGICAL, _rule(logical_numbers, non_negative=always)),
}
