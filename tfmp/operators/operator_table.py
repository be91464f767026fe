"""The table of operators, and what is found in it."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tfmp.checks import check_flag, check_instance
from tfmp.graph import Layer, LayerShape
from tfmp.operators.kernel import Kernel
from tfmp.operators.operator import Attributes, Operator, Reader

_table: dict[str, Operator] = {}
TABLE: Mapping[str, Operator] = MappingProxyType(_table)


def register(operator: Operator, *, replace: bool = False) -> None:
    """Adds an operator to the table.

    From then on models whose layers have its kind are searched, fixed, exported and priced like those of the library.

    Args:
        operator: The operator.
        replace: True to put it in the place of one of the same kind.

    Raises:
        TypeError: If it is no `Operator`.
        ValueError: If the kind is known already, and `replace` is False.

    Example:
        >>> tfmp.operators.register(halved)
    """
    check_instance("operator", operator, Operator, "an `Operator`")
    check_flag("replace", replace)
    if operator.kind in _table and not replace:
        raise ValueError(
            f"There is an operator of kind {operator.kind!r} already. Give yours another kind, or `replace=True`."
        )
    _table[operator.kind] = operator


def operator_of(layer: Layer) -> Operator | None:
    """The operator of a layer's kind; None if it has no integer form."""
    operator = _table.get(layer.kind)
    return operator if operator is not None and operator.lower is not None else None


def kernel_of(layer: Layer | LayerShape) -> Kernel:
    """How the kernel of a layer that has one lies in memory.

    Raises:
        ValueError: If its kind has none.
    """
    operator = _table.get(layer.kind)
    if operator is None or operator.kernel is None:
        raise ValueError(f"Expected a layer with a kernel. Received: layer `{layer.name}` of kind {layer.kind!r}")
    return operator.kernel


def readers(layer_class: str | type) -> Iterator[tuple[Operator, Reader]]:
    """The operators that a class or an operation may be, each with the reader of its attributes."""
    for operator in _table.values():
        if layer_class in operator.classes:
            yield operator, operator.classes[layer_class]


def operator_of_function(name: str, framework: str = "keras") -> tuple[Operator, Attributes] | None:
    """The operator that an activation function of Keras is, with its attributes; None if there is none.

    Args:
        name: Its name.
        framework: `"keras"` or `"tf_keras"`, which do not mean the same by every name.
    """
    for operator in _table.values():
        if framework == "tf_keras" and name in operator.tf_keras_functions:
            return operator, dict(operator.tf_keras_functions[name])
        if name in operator.functions:
            return operator, dict(operator.functions[name])
    return None


def function_names() -> tuple[str, ...]:
    """The names of all activation functions that an operator computes, sorted."""
    return tuple(sorted({name for operator in _table.values() for name in operator.functions}))
