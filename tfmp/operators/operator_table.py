"""The tables of the kinds of layers and of integer operations, and lookups in them."""

import functools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tfmp.checks import check_flag, check_instance
from tfmp.graph import Call, Graph, Layer, LayerShape
from tfmp.operators.kernel import Kernel
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import MOVES, OTHER, Attributes, Clip, Operator, Reader

_table: dict[str, Operator] = {}
_operations: dict[str, OperationKind] = {}
TABLE: Mapping[str, Operator] = MappingProxyType(_table)
OPERATIONS: Mapping[str, OperationKind] = MappingProxyType(_operations)


def register(record: Operator | OperationKind, *, replace: bool = False) -> None:
    """Adds a kind of layer to `TABLE`, or a kind of integer operation to `OPERATIONS`.

    Layers of the kind are then searched, fixed, exported and priced like those of the library, and lowering may add
    operations of the kind.

    Args:
        record: An `Operator` or an `OperationKind`.
        replace: True to replace a record of the same kind.

    Raises:
        TypeError: If it is neither of them.
        ValueError: If the kind is known already, and `replace` is False; or if nothing computes a kind of operation.

    Example:
        >>> tfmp.operators.register(halved)
    """
    check_instance("record", record, (Operator, OperationKind), "an `Operator` or an `OperationKind`")
    check_flag("replace", replace)
    if isinstance(record, OperationKind) and record.compute is None and record.kind not in OPERATIONS:
        raise ValueError(
            f"Operation `{record.kind}`: `compute` must be a function, because the library has no computation of this "
            "kind. Received: None"
        )
    if not replace and record.kind in (TABLE if isinstance(record, Operator) else OPERATIONS):
        noun = "operator" if isinstance(record, Operator) else "integer operation"
        raise ValueError(
            f"There is already an {noun} of kind {record.kind!r}. Choose another kind, or pass `replace=True`."
        )
    add(record)


def add(record: Operator | OperationKind) -> None:
    """Adds a record to its table, or replaces the one of the same kind."""
    fused_clip.cache_clear()
    if isinstance(record, Operator):
        _table[record.kind] = record
    else:
        _operations[record.kind] = record


def operator_of(layer: Layer) -> Operator | None:
    """Returns the operator of a layer's kind; None if the kind has no integer form."""
    operator = _table.get(layer.kind)
    return operator if operator is not None and operator.lower is not None else None


def kernel_of(layer: Layer | LayerShape) -> Kernel:
    """Returns the memory layout of the kernel of a layer.

    Raises:
        ValueError: If layers of its kind have no kernel.
    """
    operator = _table.get(layer.kind)
    if operator is None or operator.kernel is None:
        raise ValueError(f"Expected a layer with a kernel. Received: layer `{layer.name}` of kind {layer.kind!r}")
    return operator.kernel


def readers(layer_class: str | type) -> Iterator[tuple[Operator, Reader]]:
    """Yields the operators that a class or an operation may have, each with the reader of its attributes."""
    for operator in _table.values():
        if layer_class in operator.classes:
            yield operator, operator.classes[layer_class]


def operator_of_function(name: str, framework: str = "keras") -> tuple[Operator, Attributes] | None:
    """Returns the operator of an activation function of Keras and its attributes; None if there is none.

    Args:
        name: Its name.
        framework: `"keras"` or `"tf_keras"`, in which some names mean different functions.
    """
    for operator in _table.values():
        if framework == "tf_keras" and name in operator.tf_keras_functions:
            return operator, dict(operator.tf_keras_functions[name])
        if name in operator.functions:
            return operator, dict(operator.functions[name])
    return None


def function_names() -> tuple[str, ...]:
    """Returns the names of all activation functions that an operator computes, sorted."""
    return tuple(sorted({name for operator in _table.values() for name in operator.functions}))


def substitute(name: str) -> str | None:
    """Returns the class that may compute what a layer or operation without an integer form computes, or None."""
    return next((each.instead_of[name] for each in _table.values() if name in each.instead_of), None)


@functools.cache
def fused_clip(name: str) -> Clip | None:
    """Returns the clip of an activation function that a layer with a kernel applies itself; None for other functions.

    Args:
        name: Its name in Keras: `"linear"`, or a function that only clips.
    """
    for operator in _table.values():
        if name in operator.functions and operator.reads == MOVES and operator.clip is not None:
            return operator.clip(Layer("", operator.kind, attributes=operator.functions[name]))
    return None


def fused_activations() -> tuple[str, ...]:
    """Returns the names of the activation functions that a layer with a kernel applies itself, sorted."""
    return tuple(name for name in function_names() if fused_clip(name) is not None)


# Arguments that have the same name and meaning in every layer.
_COPIED = (
    *("strides", "padding", "pool_size", "dilation_rate", "groups", "axis", "epsilon", "data_format", "use_bias"),
    *("keepdims", "kernel_size", "depth_multiplier", "filters", "output_padding"),
)


def recognize(
    layer_class: str | type, config: Mapping[str, Any], *, call: Call | None = None, framework: str = "keras"
) -> tuple[str, Attributes]:
    """Returns a layer's kind and its framework-independent attributes.

    Args:
        layer_class: As in `Operator.classes`.
        config: Its configuration.
        call: One call of it: additions and products with a constant argument are affine maps.
        framework: `"keras"` or `"tf_keras"`.

    Returns:
        `(kind, attributes)`; kind `"other"` if there is no operator.
    """
    attributes = {name: config[name] for name in _COPIED if name in config}
    if layer_class == "Activation":
        known = object_kind(config, framework) or function_kind(activation_name(config), framework)
        return known or (OTHER, attributes)
    channels_first = attributes.get("data_format") == "channels_first"
    for operator, reader in readers(layer_class):
        specific = reader(config, call) if operator.order_free or not channels_first else None
        if specific is not None:
            return operator.kind, {**attributes, **specific}
    return OTHER, attributes


def function_kind(name: str, framework: str) -> tuple[str, Attributes] | None:
    """Returns the kind and the attributes of an activation by its name, or None if no operator computes it."""
    function = operator_of_function(name, framework)
    return None if function is None else (function[0].kind, function[1])


def object_kind(config: Mapping[str, Any], framework: str) -> tuple[str, Attributes] | None:
    """Returns the kind and the attributes of a layer of Keras that is the activation of another; None for no layer.

    Args:
        config: Configuration of the layer that has the activation.
        framework: `"keras"` or `"tf_keras"`.
    """
    saved = config.get("activation")
    if not isinstance(saved, dict) or saved.get("registered_name") or saved.get("class_name") in (None, "function"):
        return None
    kind, attributes = recognize(saved["class_name"], saved["config"], framework=framework)
    # A layer with weights of its own cannot be separated from the layer that holds it.
    is_function = kind != OTHER and _table[kind].each_value and not _table[kind].arrays
    return (kind, attributes) if is_function else None


def activation_name(config: Mapping[str, Any]) -> str:
    """Returns the name of the activation in a layer's configuration; `"custom"` if it is not one of Keras."""
    activation = config.get("activation")
    if activation is None:
        return "linear"
    if isinstance(activation, dict):
        if activation.get("registered_name", "function") not in (None, "function"):
            return "custom"
        activation = activation.get("config")
    return activation if isinstance(activation, str) else "custom"


def non_negative_tensors(graph: Graph) -> set[str]:
    """Returns the names of the tensors that are non-negative for all weights and inputs."""
    names: set[str] = set()
    for call in graph.calls:
        layer = graph.layer_of(call)
        operator = operator_of(layer)
        if operator is not None and operator.non_negative(layer, bool(call.inputs) and names.issuperset(call.inputs)):
            names.update(call.outputs)
        names.update(name for name in call.outputs if graph.tensors[name].dtype.startswith(("uint", "bool")))
    return names
