"""Builds Keras layers from the layers of a graph."""

import inspect

from tfmp.bindings.nesting import local_name
from tfmp.bindings.sharing import with_layers

_OF_EVERY_LAYER = ("name", "trainable", "dtype")


class LayerBuilder:
    """Builds the layers of a graph, each once, what they hold in common included.

    Args:
        graph: The `tfmp.graph.Graph`.
        framework: The `tfmp.bindings.framework.Framework`.
    """

    def __init__(self, graph, framework):
        self._graph, self._framework = graph, framework
        self._built = {}

    def build(self):
        """Returns the layers by name, in the order in which they first run."""
        return {layer.name: self._layer(layer.name) for layer in self._graph.in_order()}

    def _layer(self, name):
        if name not in self._built:
            layer, local = self._graph.layers[name], local_name(self._graph, name)
            self._built[name] = built = build_layer(layer, local, self._framework, held=self._held)
            if built.name != local:
                self._framework.rename(built, local)
        return self._built[name]

    def _held(self, reference):
        """The layer that a `LayerReference` stands for."""
        if reference.written is None:
            return self._layer(reference.name)
        if reference.name not in self._built:
            self._built[reference.name] = self._framework.package.saving.deserialize_keras_object(reference.written)
        return self._built[reference.name]


def build_layer(layer, name, framework, *, held=None):
    """Builds a layer of its own class or, for one that a transform made, of the class that its kind has.

    Args:
        layer: The `tfmp.graph.Layer`.
        name: The name that it gets, where its configuration has one.
        framework: The `tfmp.bindings.framework.Framework`.
        held: Function of a `tfmp.bindings.sharing.LayerReference` in the configuration that returns the layer.

    Raises:
        ValueError: If it does not build from its configuration; the message names it and says what to do.
    """
    layers = framework.package.layers
    built_class = layer.origin.layer_class or framework.made_classes.get(layer.kind, layers.Activation)
    config = dict(layer.origin.config)
    if "name" in config:
        config["name"] = name
    try:
        if issubclass(built_class, layers.Lambda):
            return built_class(**config)
        config, scope = with_layers(config, held, framework.package)
        with scope:
            return built_class.from_config(_accepted(built_class, config))
    except Exception as error:
        raise ValueError(
            f"Layer `{layer.name}` ({built_class.__name__}) does not build again from its configuration: {error} Give "
            "its class a `get_config` that returns the arguments of its constructor, and register it and the functions "
            f"that it uses with `{framework.name}.saving.register_keras_serializable`."
        ) from error


def _accepted(built_class, config):
    """The configuration without what Keras says of every layer, for constructors that take none of it."""
    parameters = inspect.signature(built_class.__init__).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return config
    return {key: value for key, value in config.items() if key in parameters or key not in _OF_EVERY_LAYER}
