"""From a `Layer` of the graph to a layer of either Keras."""

import inspect

_OF_EVERY_LAYER = ("name", "trainable", "dtype")


def build_layer(layer, name, *, made_classes, framework):
    """Builds a layer of its own class or, for one that a transform made, of the class that its kind has.

    Args:
        layer: The `tfmp.types.Layer`.
        name: The name that it gets, where its configuration has one.
        made_classes: The classes of layers that transforms make, by kind; activations have the framework's own.
        framework: The package, `keras` or `tf_keras`.

    Raises:
        ValueError: If it does not build from its configuration; the message names it and says what to do.
    """
    built_class = layer.config.get("class") or made_classes.get(layer.kind, framework.layers.Activation)
    config = dict(layer.config["config"])
    if "name" in config:
        config["name"] = name
    try:
        if issubclass(built_class, framework.layers.Lambda):
            return built_class(**config)
        return built_class.from_config(_accepted(built_class, config))
    except Exception as error:
        raise ValueError(
            f"Layer `{layer.name}` ({built_class.__name__}) does not build again from its configuration: {error} Give "
            "its class a `get_config` that returns the arguments of its constructor, and register it and the functions "
            f"that it uses with `{framework.__name__}.saving.register_keras_serializable`."
        ) from error


def _accepted(built_class, config):
    """The configuration without what Keras says of every layer, for constructors that take none of it."""
    parameters = inspect.signature(built_class.__init__).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return config
    return {key: value for key, value in config.items() if key in parameters or key not in _OF_EVERY_LAYER}
