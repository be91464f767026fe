"""Layers that compute numbers instead of codes: indices, comparisons and casts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfmp.graph import Call, Graph, Layer
from tfmp.graph.integer_graph import COMPARISONS, compared_type
from tfmp.operators.constant_operands import comparison_attributes
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operator import NUMBERS, Attributes, Operator, Reader, always, as_inputs, given

INDICES = ("arg_max", "arg_min")
_OPERAND = ("operand", "operand_first")


def lower_numbers(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Quantizes numbers for a layer that reads codes."""
    tensor = call.outputs[0]
    numbers = lowering.numbers_as("float32", tensor)
    return lowering.builder.add("quantize", (numbers,), f"{tensor}_codes", lowering.shape(tensor), codes)


def index_numbers(lowering: LoweringContext, call: Call) -> str:
    """Adds the position of the largest or smallest number."""
    source = lowering.numbers_as("float32", call.inputs[0])
    return _add(lowering, call, (source,), index_attributes(lowering.graph, call))


def index_attributes(graph: Graph, call: Call) -> Attributes:
    """Returns the attributes of an `arg_max` or `arg_min` of an `IntegerOperation`."""
    layer, rank = graph.layer_of(call), len(graph.tensors[call.inputs[0]].shape)
    axis = layer.attributes["axis"] % rank
    if axis == 0:
        raise FoldError(layer.name, "it compares samples with each other", "Give it another axis than the first.")
    return {"axis": axis, "keepdims": len(graph.tensors[call.outputs[0]].shape) == rank}


def comparison_numbers(lowering: LoweringContext, call: Call) -> str:
    """Adds the comparison of numbers with others or with a constant."""
    attributes = lowering.graph.layer_of(call).attributes
    dtype = compared_type(
        [lowering.graph.tensors[source].dtype for source in call.inputs], attributes.get("operand", 0)
    )
    sources = [lowering.numbers_as(dtype, source) for source in call.inputs]
    return _add(lowering, call, sources, {key: attributes[key] for key in _OPERAND if key in attributes})


def logical_numbers(lowering: LoweringContext, call: Call) -> str:
    """Adds a logical operation, for which every number but zero is true."""
    return _add(lowering, call, [lowering.numbers_as("bool", source) for source in call.inputs], {})


def cast_numbers(lowering: LoweringContext, call: Call) -> str:
    """Adds a cast to another type."""
    return _add(lowering, call, [lowering.numbers(source) for source in call.inputs], {})


def _add(lowering: LoweringContext, call: Call, sources: Sequence[str], attributes: Mapping[str, Any]) -> str:
    layer, output = lowering.graph.layer_of(call), lowering.graph.tensors[call.outputs[0]]
    return lowering.builder.add(
        layer.kind, sources, layer.name, output.shape, None, attributes=attributes, layer=layer.name, dtype=output.dtype
    )


def _index(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return None if config.get("axis") in (None, 0) else {}  # over all values, or along the batch


def _index_of_call(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    if call is None:
        return None
    axis = call.kwargs.get("axis", call.args[1] if len(call.args) > 1 else None)
    return None if axis in (None, 0) else {"axis": axis}


def _of_tensors(count: int) -> Reader:
    return lambda config, call: {} if call is None or len(call.inputs) == count else None


def _of_numbers(
    kind: str,
    numbers: Callable[..., str],
    classes: Mapping[str | type, Reader],
    *,
    non_negative: Callable[[Layer, bool], bool] = always,
) -> Operator:
    return Operator(kind, lower_numbers, classes=classes, reads=NUMBERS, non_negative=non_negative, numbers=numbers)


def _class_name(kind: str) -> str:
    """Returns the name in camel case, `"GreaterEqual"` for `"greater_equal"`."""
    return kind.title().replace("_", "")


# Operations of Keras and functions of TensorFlow have the names of the kinds, except for `==` and `!=`.
_OPERATORS_OF_PYTHON = {"equal": "__operators__.eq", "not_equal": "__operators__.ne"}
OPERATORS = (
    _of_numbers("cast", cast_numbers, {"Cast": given(), "cast": given()}, non_negative=as_inputs),
    *(
        _of_numbers(kind, index_numbers, {name: _index, f"math.{name.lower()}": _index_of_call})
        for kind, name in zip(INDICES, ("Argmax", "Argmin"), strict=True)
    ),
    *(
        _of_numbers(
            kind,
            comparison_numbers,
            dict.fromkeys(
                (_class_name(kind), f"math.{kind}", _OPERATORS_OF_PYTHON.get(kind, f"math.{kind}")),
                comparison_attributes,
            ),
        )
        for kind in COMPARISONS
    ),
    *(
        _of_numbers(kind, logical_numbers, dict.fromkeys((_class_name(kind), f"math.{kind}"), _of_tensors(count)))
        for kind, count in (("logical_and", 2), ("logical_or", 2), ("logical_not", 1))
    ),
)
