"""Builds Keras layers, tensors and models from a graph."""

import inspect
from typing import Any

from tfmp.bindings.nesting import are_alike, border, calls_inside, local_name, names_in, uses_around
from tfmp.bindings.sharing import with_layers
from tfmp.graph import Call, Graph, map_references

_OF_EVERY_LAYER = ("name", "trainable", "dtype")


class LayerBuilder:
    """Builds each layer of a graph once; layers that share a child layer share it again.

    Args:
        graph: The `tfmp.graph.Graph`.
        framework: The `tfmp.bindings.framework.Framework`.

    Attributes:
        built: Maps the names of the layers built so far to the layers.
    """

    def __init__(self, graph, framework):
        self._graph, self._framework = graph, framework
        self.built = {}

    def build(self):
        """Returns the layers by name, in the order in which they first run."""
        return {layer.name: self.layer(layer.name) for layer in self._graph.in_order()}

    def layer(self, name):
        """Returns a layer; also those that it holds are built then."""
        if name not in self.built:
            layer, local = self._graph.layers[name], local_name(self._graph, name)
            self.built[name] = built = build_layer(layer, local, self._framework, held=self._held)
            if built.name != local:
                self._framework.rename(built, local)
        return self.built[name]

    def _held(self, reference):
        """Returns the layer that a `LayerReference` stands for."""
        if reference.written is None:
            return self.layer(reference.name)
        if reference.name not in self.built:
            self.built[reference.name] = self._framework.package.saving.deserialize_keras_object(reference.written)
        return self.built[reference.name]


def build_layer(layer, name, framework, *, held=None):
    """Builds a layer of its class or, if a transform added it, of the class of its kind.

    Args:
        layer: The `tfmp.graph.Layer`.
        name: The name of the new layer, if its configuration has one.
        framework: The `tfmp.bindings.framework.Framework`.
        held: Function of a `tfmp.bindings.sharing.LayerReference` in the configuration that returns the layer.

    Raises:
        ValueError: If it cannot be built from its configuration; the message names it and says what to do.
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
    """Returns the configuration without the arguments of every Keras layer that the constructor does not take."""
    parameters = inspect.signature(built_class.__init__).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return config
    return {key: value for key, value in config.items() if key in parameters or key not in _OF_EVERY_LAYER}


class ModelBuilder:
    """Calls layers in the order of a graph; the layers of a nested model are called inside a model built for them.

    Args:
        graph: The graph, after `nesting.with_equal_uses`.
        operations: Maps layer names to layers of the framework, or to operations that are used without a layer.
        framework: The `tfmp.bindings.framework.Framework`.

    Attributes:
        models: Pairs `(model, trainable)` of the nested models that were built, inner ones first; a model whose calls
            differ is built once for each different call.
    """

    def __init__(self, graph: Graph, operations, framework):
        self.graph, self.operations, self.framework = graph, operations, framework
        self.tree = framework.tree
        self.models: list[Any] = []
        self._uses: dict[Any, Any] = {}  # maps a path to (use, model) of every model that was built for it
        self._items: dict[str, list[Any]] = {}  # the calls directly inside each use, in order
        for call in graph.calls:
            self._items.setdefault(call.within, []).append(call)
            for use in uses_around(graph, call.within):
                around = self._items.setdefault(graph.submodels[use].within, [])
                if not any(isinstance(item, str) and item == use for item in around):
                    around.append(use)
        self._borders = {use: border(graph, use) for use in self._items if use}
        self._layers = {use: {call.layer for call in calls_inside(graph, use)} for use in self._borders}

    def build(self):
        """Returns every tensor of the outermost model by name."""
        return self._run("", {})

    def build_ends(self) -> tuple[Any, Any]:
        """Returns the input and output structures of the outermost model, filled with its tensors."""
        tensors = self.build()
        return map_references((self.graph.inputs, self.graph.outputs), lambda reference: tensors[reference.name])

    def _run(self, within, tensors):
        pending = list(self._items.get(within, ()))
        while pending:
            ready = (number for number, item in enumerate(pending) if self._is_ready(item, tensors, pending[:number]))
            number = next(ready, None)
            if number is None:
                raise ValueError(
                    f"The calls of model `{within or self.graph.name}` cannot be sorted: its nested models "
                    "read tensors that are computed after them."
                )
            item = pending.pop(number)
            (self._call if isinstance(item, Call) else self._use)(item, tensors)
        return tensors

    def _is_ready(self, item, tensors, before):
        """Returns True if the inputs exist and the earlier calls of the layers are made, because calls are numbered."""
        if isinstance(item, Call):
            needed, layers = item.inputs, {item.layer}
        else:
            arguments = dict(self.graph.submodels[item].arguments)
            needed, layers = names_in((self._borders[item][0], arguments)), self._layers[item]
        if not all(name in tensors for name in needed):
            return False
        return not any(layers & ({b.layer} if isinstance(b, Call) else self._layers[b]) for b in before)

    def _call(self, call, tensors):
        operation = self.operations[call.layer]
        if self.graph.layer_of(call).kind == "input":
            tensors[call.outputs[0]] = operation.output
            return
        args, kwargs = map_references((call.args, dict(call.kwargs)), lambda reference: tensors[reference.name])
        tensors.update(zip(call.outputs, self.tree.flatten(operation(*args, **kwargs)), strict=True))

    def _use(self, use, tensors):
        inputs, outputs = self._borders[use]
        model = self._model(use)
        given, arguments = map_references(
            (inputs, dict(self.graph.submodels[use].arguments)), lambda reference: tensors[reference.name]
        )
        results = self.tree.flatten(model(given, **arguments))
        for reference, result in zip(self.tree.flatten(outputs), results, strict=True):
            tensors.setdefault(reference.name, result)  # tensors that a model passes through unchanged

    def _model(self, use):
        submodel, (inputs, outputs) = self.graph.submodels[use], self._borders[use]
        built = self._uses.setdefault(submodel.name, [])
        for first, model in built:
            if are_alike(self.graph, first, use):
                return model
        configs = dict(enumerate(submodel.config.get("inputs", ()))) if inputs is submodel.inputs else {}
        given = [
            self.framework.make_input(self.graph.tensors[reference.name], configs.get(position))
            for position, reference in enumerate(self.tree.flatten(inputs))
        ]
        tensors = {}
        for reference, tensor in zip(self.tree.flatten(inputs), given, strict=True):
            tensors.setdefault(reference.name, tensor)
        self._run(use, tensors)
        name = local_name(self.graph, submodel.name)
        name = f"{name}_{len(built)}" if built else name
        inputs = self.tree.pack_sequence_as(inputs, given)
        model = self.framework.make_model(
            inputs, map_references(outputs, lambda reference: tensors[reference.name]), name, submodel.config
        )
        built.append((use, model))
        self.models.append((model, submodel.trainable))
        return model
