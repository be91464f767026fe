"""Reads the kind of a layer, an operation or a class of either Keras."""

from collections.abc import Mapping
from typing import Any

from tfmp.graph import Call
from tfmp.operators import TABLE
from tfmp.operators.operator import Attributes
from tfmp.operators.operator_table import recognize

_FRAMEWORKS = ("keras", "tf_keras", "tfmp")
_MIXED_PREFIX = "MixedPrecision"


def kind_and_attributes(
    layer_class: type | str, config: Mapping[str, Any], *, call: Call | None = None, framework: str = "keras"
) -> tuple[str, Attributes]:
    """Returns a layer's kind and its attributes in neutral terms.

    Args:
        layer_class: Its class, or the class of an operation used without a layer; or the name that such a class has,
            or that a function of TensorFlow has. A class of others is known only if an operator names that very class.
        config: Its configuration.
        call: One `tfmp.graph.Call` of it: constants among its arguments make additions and products affine maps.
        framework: `"keras"` or `"tf_keras"`, which do not mean the same by every name.

    Returns:
        `(kind, attributes)`; kind `"other"` for what the library has no word for.
    """
    if isinstance(layer_class, type) and layer_class.__module__.split(".")[0] in _FRAMEWORKS:
        layer_class = layer_class.__name__.removeprefix(_MIXED_PREFIX)
    return recognize(layer_class, config, call=call, framework=framework)


def kernel_classes() -> dict[str, str]:
    """Returns the name of the class that has a kernel, by kind of layer."""
    first = {kind: next(iter(operator.classes)) for kind, operator in TABLE.items() if operator.kernel is not None}
    return {kind: name for kind, name in first.items() if isinstance(name, str)}


def has_kernel(kind: str) -> bool:
    """True for the kinds of layers whose kernel can be quantized."""
    return kind in TABLE and TABLE[kind].kernel is not None
