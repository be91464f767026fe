"""The structure of a Keras 3 model, from its public configuration."""

import keras
import numpy as np

from tfmp.bindings.keras3.layer_variables import layer_weights, num_parameters
from tfmp.bindings.kinds import MULTIPLYING, kind_and_attributes, layer_shape
from tfmp.types import UNQUANTIZED, Call, Graph, Layer, Selection, Tensor, TensorRef, map_references

FRAMEWORK = "keras"


def check_readable(model):
    """Raises an error that says what to do unless the model is built, and Sequential or functional."""
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


def find_operation(model, name):
    """A layer, or an operation used without one, by its name."""
    operations = model.layers if isinstance(model, keras.Sequential) else model.operations
    return next(operation for operation in operations if operation.name == name)


class ModelReader:
    """Collects the layers, calls and tensors of a model.

    Args:
        model: A readable model.
        weights: If False, the arrays are left out.
    """

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
            return TensorRef(names[name, index - _is_functional(find_operation(self.model, name)), position])

        inputs, outputs = (_map_histories(config[key], reference) for key in ("input_layers", "output_layers"))
        return self._graph(inputs, outputs)

    def _try(self, item, names):
        """Adds a call if every tensor it reads is known."""
        entry, index, node = item
        try:
            args, kwargs = _map_tensors((node["args"], node["kwargs"]), names) if node else ((), {})
        except KeyError:
            return False
        operation = find_operation(self.model, entry["name"])
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
        if isinstance(operation, keras.layers.Layer) and (self.with_weights or kind in MULTIPLYING.values()):
            variables = layer_weights(operation)
        shape = None
        if kind in MULTIPLYING.values():
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
            num_parameters=num_parameters(operation),
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


def _selection(selector):
    if selector is None:
        return UNQUANTIZED
    probabilities = tuple(float(p) for p in np.asarray(selector.probabilities()))
    return Selection(selector.formats, probabilities, selector.quantizer, selector.signed)


def _is_functional(operation):
    if not isinstance(operation, keras.Model) or isinstance(operation, keras.Sequential):
        return False
    try:
        return "input_layers" in operation.get_config()
    except NotImplementedError:
        return False


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
