"""Keras 3 model to `Graph` and back."""

import math

import keras
import numpy as np

from tfmp.bindings.keras3 import layers as searchable
from tfmp.bindings.keras3.integer_graph import write_integer  # noqa: F401 (part of what a binding offers)
from tfmp.bindings.keras3.kinds import MULTIPLYING, kind_and_attributes, layer_shape
from tfmp.types import UNQUANTIZED, Call, Graph, Layer, Selection, Tensor, TensorRef, map_references

FRAMEWORK = "keras"
_MIXED_CLASSES = {kind: getattr(searchable, f"MixedPrecision{name}") for name, kind in MULTIPLYING.items()}
_PLAIN_CLASSES = {
    "quantize": searchable.Quantize,
    "softmax": keras.layers.Activation,
    "other": keras.layers.Activation,
}


def read(model, *, weights=True):
    """Returns a built Sequential or functional model as a `Graph`.

    Args:
        model: The model.
        weights: If False, the arrays are left out.

    Raises:
        ValueError: If the model is not built, or a subclass whose structure cannot be read.
    """
    _check(model)
    reader = _Reader(model, weights)
    return reader.sequential() if isinstance(model, keras.Sequential) else reader.functional()


def write(graph):
    """Builds the model that a `Graph` describes, with the weights that its layers hold.

    Layers that a transform did not touch are built from their own configuration; those with a `weight` or `activation`
    selection become `MixedPrecision*` layers.
    """
    layers, tensors = {}, {}
    for call in graph.calls:
        layer = graph.layers[call.layer]
        if layer.kind == "input":
            tensors[call.outputs[0]] = _build_layer(layer).output
            continue
        if call.layer not in layers:
            layers[call.layer] = _build_layer(layer)
        args, kwargs = map_references((call.args, dict(call.kwargs)), lambda reference: tensors[reference.name])
        results = keras.tree.flatten(layers[call.layer](*args, **kwargs))
        tensors.update(zip(call.outputs, results, strict=True))
    inputs = map_references(graph.inputs, lambda reference: tensors[reference.name])
    outputs = map_references(graph.outputs, lambda reference: tensors[reference.name])
    model = keras.Model(inputs, outputs, name=graph.name)
    for name, built in layers.items():
        weights = graph.layers[name].weights
        assign_weights(built, weights)
        selector = getattr(built, "weight_selector", None)
        if selector is not None and not any(path.startswith("weight_selector/") for path in weights):
            selector.calibrate(np.asarray(built.kernel))
    return model


def tensor_model(model, tensor_names):
    """Returns a model with the same inputs whose outputs are the named tensors of `read(model)`."""
    tensors = {}
    graph = read(model, weights=False)
    for call in graph.calls:
        operation = _operation(model, call.layer)
        if graph.layers[call.layer].kind == "input":
            tensors[call.outputs[0]] = operation.output
            continue
        args, kwargs = map_references((call.args, dict(call.kwargs)), lambda reference: tensors[reference.name])
        results = keras.tree.flatten(operation(*args, **kwargs))
        tensors.update(zip(call.outputs, results, strict=True))
    inputs = map_references(graph.inputs, lambda reference: tensors[reference.name])
    return keras.Model(inputs, [tensors[name] for name in tensor_names])


def layer_weights(layer):
    """Returns a layer's arrays by path relative to the layer."""
    return {path: np.asarray(variable) for path, variable in _relative_variables(layer).items()}


def assign_weights(layer, weights):
    """Writes arrays into a layer's variables; those it has and `weights` lacks keep their values.

    Raises:
        ValueError: If the layer lacks a variable that `weights` has.
    """
    variables = _relative_variables(layer) if weights else {}
    if any(path not in variables for path in weights):
        # A layer whose children Keras numbers has other paths each time it is built, in the same order.
        shapes = [tuple(np.shape(value)) for value in weights.values()]
        if shapes != [tuple(variable.shape) for variable in variables.values()]:
            raise ValueError(
                f"Layer `{layer.name}` does not build again from its configuration: expected variables "
                f"{', '.join(weights)}; it has {', '.join(variables) or 'none'}. Give it a `get_config` with all its "
                "arguments, and a `build` that makes all its variables."
            )
        variables = dict(zip(weights, variables.values(), strict=True))
    for path, value in weights.items():
        variables[path].assign(value)


class _Reader:
    def __init__(self, model, weights):
        self.model = model
        self.with_weights = weights
        self.layers, self.calls, self.tensors = {}, [], {}

    def sequential(self):
        first = self.model.inputs[0]
        name = "input"
        while any(layer.name == name for layer in self.model.layers):
            name += "_1"
        entrance = keras.layers.InputLayer(batch_shape=first.shape, dtype=first.dtype, name=name)
        current = TensorRef(name)
        self._add_call(entrance, name, (), {}, [first])
        for layer in self.model.layers:
            self._add_call(layer, layer.name, (current,), {}, [layer.output])
            current = TensorRef(layer.name)
        return self._graph(TensorRef(name), current)

    def functional(self):
        config, names = self.model.get_config(), {}
        pending = [
            (entry, index, node)
            for entry in config["layers"]
            for index, node in enumerate(entry["inbound_nodes"] or [None])
        ]
        while pending:
            ready = [item for item in pending if self._try(item, names)]
            if not ready:
                raise ValueError(f"Model `{self.model.name}` has calls whose inputs nothing produces.")
            done = {(id(entry), index) for entry, index, _ in ready}
            pending = [item for item in pending if (id(item[0]), item[1]) not in done]

        def reference(history):
            # Keras counts the call that made a nested model here, and nowhere else.
            name, index, position = history
            return TensorRef(names[name, index - _is_functional(_operation(self.model, name)), position])

        inputs, outputs = (_map_histories(config[key], reference) for key in ("input_layers", "output_layers"))
        return self._graph(inputs, outputs)

    def _try(self, item, names):
        """Adds a call if every tensor it reads is known."""
        entry, index, node = item
        try:
            args, kwargs = _map_tensors((node["args"], node["kwargs"]), names) if node else ((), {})
        except KeyError:
            return False
        operation = _operation(self.model, entry["name"])
        if node is None:
            outputs = [operation.output]
        else:
            outputs = keras.tree.flatten(self._call_outputs(operation, args, kwargs))
        base = entry["name"] if index == 0 else f"{entry['name']}:call_{index}"
        self._add_call(operation, base, args, kwargs, outputs)
        for position, name in enumerate(self.calls[-1].outputs):
            names[entry["name"], index, position] = name
        return True

    def _call_outputs(self, operation, args, kwargs):
        symbolic = map_references(
            (tuple(args), kwargs),
            lambda reference: keras.KerasTensor(
                self.tensors[reference.name].shape, dtype=self.tensors[reference.name].dtype
            ),
        )
        return operation.compute_output_spec(*symbolic[0], **symbolic[1])

    def _add_call(self, operation, base, args, kwargs, results):
        outputs = tuple(base if i == 0 else f"{base}:{i}" for i in range(len(results)))
        for name, result in zip(outputs, results, strict=True):
            self.tensors[name] = Tensor(name, tuple(result.shape), result.dtype)
        self.calls.append(Call(operation.name, tuple(args), dict(kwargs), outputs))
        if operation.name not in self.layers:
            self.layers[operation.name] = self._layer(operation, self.calls[-1])

    def _layer(self, operation, call):
        config = operation.get_config()
        kind, attributes = kind_and_attributes(_known_class(operation), config)
        if kind == "add" and len(call.inputs) < 2:
            kind = "other"  # a constant is added
        variables = {}
        if isinstance(operation, keras.layers.Layer) and (self.with_weights or kind in _MIXED_CLASSES):
            variables = layer_weights(operation)
        shape = None
        if kind in _MIXED_CLASSES:
            shape = layer_shape(
                operation.name,
                kind,
                attributes,
                self.tensors[call.outputs[0]].shape,
                variables["kernel"].shape,
                reads_network_input=self._is_input(call.inputs[0]),
            )
        return Layer(
            operation.name,
            kind,
            config={"class": type(operation), "config": config},
            attributes=attributes,
            weights=variables if self.with_weights else {},
            shape=shape,
            weight=_selection(getattr(operation, "weight_selector", None)),
            activation=_selection(getattr(operation, "activation_selector", None)),
            trainable=getattr(operation, "trainable", True),
            num_parameters=_num_parameters(operation),
        )

    def _is_input(self, tensor):
        """True for an input of the model, also behind the quantizer that stores it."""
        call = next(call for call in self.calls if tensor in call.outputs)
        kind = self.layers[call.layer].kind
        return self._is_input(call.inputs[0]) if kind == "quantize" else kind == "input"

    def _graph(self, inputs, outputs):
        return Graph(self.model.name, self.layers, tuple(self.calls), self.tensors, inputs, outputs, FRAMEWORK)


def _known_class(operation):
    """The name of its class; empty if it is the user's own, whatever its name."""
    return type(operation).__name__ if type(operation).__module__.split(".")[0] in ("keras", "tfmp") else ""


def _num_parameters(operation):
    """Numbers in a layer's weights, those of its selectors and their price left out."""
    if not isinstance(operation, keras.layers.Layer):
        return 0
    own = ("weight_selector", "activation_selector", "selection_cost")
    variables, weights = _relative_variables(operation), {id(weight) for weight in operation.weights}
    return sum(
        math.prod(variable.shape)
        for path, variable in variables.items()
        if id(variable) in weights and path.split("/")[0] not in own
    )


def _selection(selector):
    if selector is None:
        return UNQUANTIZED
    probabilities = tuple(float(p) for p in np.asarray(selector.probabilities()))
    return Selection(selector.formats, probabilities, selector.quantizer, selector.signed)


def _check(model):
    if not isinstance(model, keras.Model):
        raise TypeError(f"Expected a Keras 3 model. Received: {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"Model `{model.name}` is not built: its weights do not exist yet. Give it a `keras.Input`, or call "
            "`model.build(input_shape)`."
        )
    if isinstance(model, keras.Sequential):
        return
    if not _is_functional(model):
        raise ValueError(
            f"Model `{model.name}` is a subclass of `keras.Model`: its structure is hidden in Python code. Build it as "
            "a functional model, `keras.Model(inputs, outputs)`, for example by calling it once on `keras.Input(...)`."
        )


def _is_functional(operation):
    if not isinstance(operation, keras.Model) or isinstance(operation, keras.Sequential):
        return False
    try:
        return "input_layers" in operation.get_config()
    except NotImplementedError:
        return False


def _operation(model, name):
    """A layer, or an operation used without one, by its name."""
    operations = model.layers if isinstance(model, keras.Sequential) else model.operations
    return next(operation for operation in operations if operation.name == name)


def _map_tensors(structure, names):
    if isinstance(structure, dict):
        if structure.get("class_name") == "__keras_tensor__":
            return TensorRef(names[tuple(structure["config"]["keras_history"])])
        if "class_name" in structure:  # an array, a slice, ...
            return keras.saving.deserialize_keras_object(structure)
        return {key: _map_tensors(item, names) for key, item in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)(_map_tensors(item, names) for item in structure)
    return structure


def _map_histories(structure, function):
    """Maps `[layer, node, tensor]` triples in the nested structure of a model's inputs or outputs."""
    if isinstance(structure, dict):
        return {key: _map_histories(item, function) for key, item in structure.items()}
    if len(structure) == 3 and isinstance(structure[0], str):
        return function(structure)
    return type(structure)(_map_histories(item, function) for item in structure)


def _build_layer(layer):
    """Builds a layer of its own class or, for one that a transform made, of the class that its kind has here."""
    if "class" in layer.config:
        return layer.config["class"].from_config(layer.config["config"])
    classes = _MIXED_CLASSES if layer.kind in _MIXED_CLASSES else _PLAIN_CLASSES
    return classes[layer.kind].from_config(layer.config["config"])


def _relative_variables(layer):
    variables = {}
    for variable in layer.variables:
        segments = variable.path.split("/")
        start = segments.index(layer.name) + 1 if layer.name in segments else 0
        path = "/".join(segments[start:])
        while path in variables:
            path += "'"
        variables[path] = variable
    return variables
