"""Registers custom layers and functions as known kinds."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tfmp.checks import check_choice
from tfmp.operators import TABLE

_FRAMEWORKS = ("keras", "tf_keras", "tensorflow", "tfmp", "tensorflow_model_optimization")
_registered = {}  # maps a class, a function or the name of a function to (kind, attributes)


def register_layer(
    layer: type | Callable[..., Any] | str,
    kind: str,
    attributes: Mapping[str, Any] | Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
) -> None:
    """Registers a custom layer or function as a known kind, so that it is relaxed, folded and exported.

    Every layer of exactly this class is then treated as the given kind, and so is every layer that applies this
    function: `Activation(function)`, `Conv2D(activation=function)`, `Lambda(function)`. When a model is read, such a
    layer is compared with its kind on random numbers. Layers with a kernel cannot be registered, because only those of
    `tfmp.layers` quantize one; nor can the classes of Keras, whose computation depends on their arguments.

    Args:
        layer: The class, a function, or the name of a function in Keras, `"package>name"`; of either Keras. Registering
            it again replaces the earlier registration.
        kind: `"relu"`, `"swish"`, `"affine"`, ...; docs/layers.md lists all kinds.
        attributes: Dict of the attributes that the kind needs, or a function of the layer's configuration
            (`get_config()`) that returns it; None for kinds without attributes.

    Raises:
        ValueError: If the kind is unknown or needs attributes, or the class is one of Keras. `tfmp.inspect`,
            `tfmp.relax` and other functions that read a model raise it if a layer differs from its kind.
        TypeError: If `layer` is not a class, function or name, or `attributes` not a dict or function.

    Example:
        >>> tfmp.register_layer(Clipped, "relu", lambda config: {"max_value": config["limit"]})
        >>> tfmp.register_layer(my_activation, "relu", {"max_value": 6.0})
    """
    if not isinstance(layer, str) and (
        not callable(layer) or (hasattr(layer, "get_config") and not isinstance(layer, type))
    ):
        raise TypeError(
            f"`layer` must be a class, a function or the name of a function. Received: {layer!r}. Of a layer, give the "
            "class."
        )
    if isinstance(layer, type) and layer.__module__.split(".")[0] in _FRAMEWORKS:
        raise ValueError(
            f"`layer` must be your own class: what `{layer.__name__}` computes depends on its arguments. Register the "
            "function that it applies, or a subclass that computes one thing. "
            f"Received: {layer.__module__}.{layer.__name__}"
        )
    if attributes is not None and not callable(attributes) and not isinstance(attributes, Mapping):
        raise TypeError(
            f"`attributes` must be a dict, or a function of a layer's configuration. Received: {attributes!r}"
        )
    check_choice("kind", kind, [name for name, operator in TABLE.items() if operator.values is not None])
    needed = TABLE[kind].needed
    if needed and attributes is None:
        raise ValueError(
            f"A layer of kind {kind!r} needs {', '.join(needed)}. Give `attributes`, a dict of these or a "
            "function of its configuration that returns one."
        )
    if isinstance(attributes, Mapping):
        _check_complete(kind, attributes, f"`attributes` of kind {kind!r} must hold")
    _registered[_key(layer)] = kind, attributes


def registration(layer: Any, config: dict[str, Any], subject: str) -> tuple[str, dict[str, Any]] | None:
    """Returns `(kind, attributes)` as registered for a class, a function or a name, or None.

    Args:
        layer: The class, function or name.
        config: Configuration of the layer.
        subject: Its name in errors.

    Raises:
        ValueError: If its attributes are not those of its kind.
    """
    if _key(layer) not in _registered:
        return None
    kind, attributes = _registered[_key(layer)]
    if callable(attributes):
        try:
            attributes = dict(attributes(config))
        except Exception as error:
            raise ValueError(
                f"{subject} is registered as {kind!r} with an `attributes` function that fails: {error!r}. It gets the "
                f"layer's configuration, which has {', '.join(config)}, and has to return a dict."
            ) from error
    attributes = dict(attributes or {})
    _check_complete(kind, attributes, f"{subject} is registered as {kind!r}, which needs")
    return kind, attributes


def _key(layer):
    """Returns the registry key of a layer or function; TensorFlow wraps its functions in different ways."""
    module = getattr(layer, "__module__", None) or ""
    return inspect.unwrap(layer) if module.split(".")[0] == "tensorflow" else layer


def _check_complete(kind, attributes, subject):
    needed = TABLE[kind].needed
    if not set(needed) <= set(attributes):
        raise ValueError(f"{subject} {', '.join(needed)}. Received: {', '.join(map(str, attributes)) or 'nothing'}")
