"""Layers and integer operations that compute numbers instead of codes: indices, comparisons and casts.

- cast: x, towards zero from float to integer.
- arg_max, arg_min: index of the first largest or smallest number, along `axis`, with `keepdims`.
- greater, greater_equal, less, less_equal, equal, not_equal: x1 compared with x2, or with the constant `operand`, which
  comes first if `operand_first`.
- logical_and, logical_or, logical_not: of numbers that are true unless zero.

Their tensors have no grid; the output has its own dtype.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call, Graph, Layer
from tfmp.graph.integer_graph import COMPARISONS, IntegerOperation, compared_type
from tfmp.graph.runtime_limits import INDEX_TYPES
from tfmp.operators.constant_operands import comparison_attributes
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import NUMBERS, Attributes, Operator, Reader, always, as_inputs, given
from tfmp.operators.writing import Options, TensorTable
from tfmp.operators.writing.sink import TENSOR_TYPES

INDICES = ("arg_max", "arg_min")
_LOGICAL = {"logical_and": 2, "logical_or": 2, "logical_not": 1}  # kind to number of inputs
_OPERAND = ("operand", "operand_first")


def lower_numbers(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Quantizes numbers for a layer that reads codes."""
    return lowering.quantized_numbers(call.outputs[0], codes)


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


def write_index(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes ARG_MAX or ARG_MIN; the first of equal numbers counts."""
    output, axis = table.graph.tensors[operation.output], operation.attributes["axis"]
    if output.dtype not in INDEX_TYPES:
        raise ValueError(
            f"`{operation.kind}` writes {' or '.join(INDEX_TYPES)}. Received: {output.dtype} at operation "
            f"{operation.name!r}. Cast its output."
        )
    kind = operation.kind.upper()
    options = Options("ArgMaxOptions" if kind == "ARG_MAX" else "ArgMinOptions", {"output_type": output.dtype})
    axes = table.sink.constant(f"{operation.name}/axis", np.array([axis], np.int32))
    inputs = [table.index(operation.inputs[0]), axes]
    if not operation.attributes["keepdims"]:
        _append(table, operation, kind, inputs, options)
        return
    shape = table.shape(operation.output)
    reduced = table.sink.tensor(f"{operation.name}/index", (*shape[:axis], *shape[axis + 1 :]), dtype=output.dtype)
    table.sink.operator(kind, inputs, [reduced], version=1, options=options)
    sizes = table.sink.constant(f"{operation.name}/shape", np.array(shape, np.int32))
    _append(table, operation, "RESHAPE", [reduced, sizes], Options("ReshapeOptions", {"new_shape": shape}))


def write_comparison(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, EQUAL or NOT_EQUAL."""
    inputs = [table.index(name) for name in operation.inputs]
    if "operand" in operation.attributes:
        dtype = table.graph.tensors[operation.inputs[0]].dtype
        values = np.asarray(operation.attributes["operand"], dtype)
        operand = table.sink.constant(f"{operation.name}/operand", values)
        inputs = [operand, *inputs] if operation.attributes["operand_first"] else [*inputs, operand]
    kind = operation.kind.upper()
    _append(table, operation, kind, inputs, _plain_options(operation))


def write_logical(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes LOGICAL_AND, LOGICAL_OR or LOGICAL_NOT."""
    inputs = [table.index(name) for name in operation.inputs]
    _append(table, operation, operation.kind.upper(), inputs, _plain_options(operation))


def write_cast(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes CAST."""
    types = [_known_type(table, name, operation) for name in (operation.inputs[0], operation.output)]
    options = Options("CastOptions", dict(zip(("in_data_type", "out_data_type"), types, strict=True)))
    _append(table, operation, "CAST", [table.index(operation.inputs[0])], options)


def _plain_options(operation: IntegerOperation) -> Options:
    """Returns the options of a kind, a table without fields."""
    return Options(f"{operation.kind.title().replace('_', '')}Options")


def _known_type(table: TensorTable, name: str, operation: IntegerOperation) -> str:
    dtype = table.graph.tensors[name].dtype
    if dtype not in TENSOR_TYPES:
        raise ValueError(
            f"A file holds numbers of {', '.join(TENSOR_TYPES)}. Received: {dtype} at operation {operation.name!r}. "
            'Choose one of these; or export with `mode="float"`.'
        )
    return dtype


def _append(
    table: TensorTable, operation: IntegerOperation, kind: str, inputs: Sequence[int], options: Options
) -> None:
    table.sink.operator(kind, inputs, [table.index(operation.output)], version=1, options=options)


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
        for kind, count in _LOGICAL.items()
    ),
)
_WRITERS = {
    "cast": write_cast,
    **dict.fromkeys(INDICES, write_index),
    **dict.fromkeys(COMPARISONS, write_comparison),
    **dict.fromkeys(_LOGICAL, write_logical),
}
_LACKS = {"micro": "computes numbers that are no codes, for which no exact operator is known"}
OPERATIONS = tuple(OperationKind(kind, write, lacks=_LACKS) for kind, write in _WRITERS.items())
