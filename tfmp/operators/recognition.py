"""Finds the operator that a layer of either Keras is, from its class and configuration."""

from collections.abc import Mapping
from typing import Any

from tfmp.graph import Call
from tfmp.operators.operator import OTHER, Attributes
from tfmp.operators.operator_table import operator_of_function, readers

# What every layer says in the same words.
_COPIED = (
    *("strides", "padding", "pool_size", "dilation_rate", "groups", "axis", "epsilon", "data_format", "use_bias"),
    *("keepdims", "kernel_size", "depth_multiplier", "filters", "output_padding"),
)


def recognize(
    layer_class: str | type, config: Mapping[str, Any], *, call: Call | None = None, framework: str = "keras"
) -> tuple[str, Attributes]:
    """Returns a layer's kind and its attributes in neutral terms.

    Args:
        layer_class: As in `Operator.classes`.
        config: Its configuration.
        call: One call of it: constants among its arguments make additions and products affine maps.
        framework: `"keras"` or `"tf_keras"`.

    Returns:
        `(kind, attributes)`; kind `"other"` for what no operator is.
    """
    attributes = {name: config[name] for name in _COPIED if name in config}
    if layer_class == "Activation":
        return function_kind(activation_name(config), framework) or (OTHER, attributes)
    channels_first = attributes.get("data_format") == "channels_first"
    for operator, reader in readers(layer_class):
        found = reader(config, call) if operator.order_free or not channels_first else None
        if found is not None:
            return operator.kind, {**attributes, **found}
    return OTHER, attributes


def function_kind(name: str, framework: str) -> tuple[str, Attributes] | None:
    """Returns the kind and the attributes of an activation by its name, or None if no operator computes it."""
    found = operator_of_function(name, framework)
    return None if found is None else (found[0].kind, found[1])


def activation_name(config: Mapping[str, Any]) -> str:
    """Name of the activation in a layer's configuration; `"custom"` if Keras itself does not provide it."""
    activation = config.get("activation")
    if activation is None:
        return "linear"
    if isinstance(activation, dict):
        if activation.get("registered_name", "function") not in (None, "function"):
            return "custom"
        activation = activation.get("config")
    return activation if isinstance(activation, str) else "custom"
