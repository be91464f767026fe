"""The layers and calls of a Keras 3 model, those of nested models among them."""

import collections
import dataclasses

import keras

from tfmp.bindings.keras3.layer_reader import read_layer
from tfmp.bindings.keras3.model_structure import (
    functional_config,
    has_structure,
    is_functional,
    map_histories,
    model_class,
)
from tfmp.types import Call, Graph, Submodel, Tensor, TensorRef, map_references

FRAMEWORK = "keras"


class ModelReader:
    """Collects the layers, calls and tensors of a model.

    A layer has one name however many models call it: where it was met first.

    Args:
        model: A readable model.
        weights: If False, the arrays are left out.
    """

    def __init__(self, model, weights):
        self.model = model
        self.with_weights = weights
        self.layers, self.calls, self.tensors, self.submodels = {}, [], {}, {}
        self._names, self._configs, self._num_calls = {}, {}, collections.Counter()

    def graph(self):
        if isinstance(self.model, keras.Sequential):
            inputs = self._sequential_input()
            outputs = self._sequential(self.model, inputs, "", "")
        else:
            names = self._input_names(self.model)
            layers = {operation.name: operation for operation in self.model.operations}
            for name in keras.tree.flatten(names):
                self._call(layers[name], (), {}, "", "")
            inputs = keras.tree.map_structure(TensorRef, names)
            outputs = self._functional(self.model, inputs, "", "")
        return Graph(
            self.model.name,
            self.layers,
            tuple(self.calls),
            self.tensors,
            inputs,
            outputs,
            FRAMEWORK,
            self.submodels,
            {"class": model_class(self.model)},
        )

    def _config(self, model):
        if id(model) not in self._configs:
            self._configs[id(model)] = functional_config(model)
        return self._configs[id(model)]

    def _input_names(self, model):
        """The structure of a functional model's inputs with the name of its layer in place of every tensor."""
        return map_histories(self._config(model)["input_layers"], lambda history: history[0])

    def _sequential_input(self):
        first = self.model.inputs[0]
        name = "input"
        while any(layer.name == name for layer in self.model.layers):
            name += "_1"
        entrance = keras.layers.InputLayer(batch_shape=first.shape, dtype=first.dtype, name=name)
        return self._call(entrance, (), {}, "", "")

    def _sequential(self, model, current, path, within):
        for layer in model.layers:
            current = self._call(layer, (current,), {}, path, within)
        return current

    def _functional(self, model, inputs, path, within):
        """Calls the layers of a functional model; each layer's calls in the order in which the user made them."""
        config, names = self._config(model), {}
        operations = {operation.name: operation for operation in model.operations}
        for name, reference in zip(
            keras.tree.flatten(self._input_names(model)), keras.tree.flatten(inputs), strict=True
        ):
            names[name, 0, 0] = reference
        nodes = {entry["name"]: list(entry["inbound_nodes"]) for entry in config["layers"]}
        done = collections.Counter()
        while any(done[name] < len(calls) for name, calls in nodes.items()):
            before = done.total()
            for name, calls in nodes.items():
                while done[name] < len(calls):
                    arguments = self._arguments(calls[done[name]], names)
                    if arguments is None:
                        break
                    results = self._call(operations[name], *arguments, path, within)
                    for position, reference in enumerate(keras.tree.flatten(results)):
                        names[name, done[name], position] = reference
                    done[name] += 1
            if done.total() == before:
                raise ValueError(f"Model `{model.name}` has calls whose inputs nothing produces.")

        def reference(history):
            # Keras counts the call that made a nested model here, and nowhere else.
            name, index, position = history
            return names[name, index - is_functional(operations[name]), position]

        return map_histories(config["output_layers"], reference)

    def _arguments(self, node, names):
        """Positional and keyword arguments of a call, or None if a tensor among them is not known yet."""
        try:
            return _map_tensors((node["args"], node["kwargs"]), names)
        except KeyError:
            return None

    def _call(self, operation, args, kwargs, path, within):
        """Adds a call, or those inside a nested model, and returns the structure of what it returns."""
        name = self._names.setdefault(id(operation), f"{path}/{operation.name}" if path else operation.name)
        if has_structure(operation):
            return self._enter(operation, name, args, dict(kwargs), within)
        if isinstance(operation, keras.layers.InputLayer):
            results = operation.output
        else:
            symbolic = map_references((tuple(args), dict(kwargs)), self._symbolic)
            results = operation.compute_output_spec(*symbolic[0], **symbolic[1])
        number = self._num_calls[name]
        self._num_calls[name] += 1
        base = f"{name}:call_{number}" if number else name
        flat = keras.tree.flatten(results)
        outputs = tuple(base if i == 0 else f"{base}:{i}" for i in range(len(flat)))
        for output, result in zip(outputs, flat, strict=True):
            self.tensors[output] = Tensor(output, tuple(result.shape), result.dtype)
        self.calls.append(Call(name, tuple(args), dict(kwargs), outputs, within))
        if name not in self.layers:
            self.layers[name] = read_layer(
                operation,
                self.calls[-1],
                self.tensors,
                reads_network_input=bool(args) and self._is_input(self.calls[-1].inputs[:1]),
                weights=self.with_weights,
            )
        return keras.tree.pack_sequence_as(results, [TensorRef(output) for output in outputs])

    def _symbolic(self, reference):
        tensor = self.tensors[reference.name]
        return keras.KerasTensor(tensor.shape, dtype=tensor.dtype)

    def _enter(self, model, name, args, kwargs, within):
        """Adds the calls inside one use of a nested model."""
        given = args[0] if args else kwargs.pop("inputs")
        kwargs = {**dict(zip(("training", "mask"), args[1:], strict=False)), **kwargs}
        use, number = f"{within}/{model.name}" if within else model.name, 0
        while use in self.submodels:
            number += 1
            use = f"{use.removesuffix(f':call_{number - 1}')}:call_{number}"
        sequential = isinstance(model, keras.Sequential)
        structure = model.inputs[0].name if sequential else self._input_names(model)
        inputs = keras.tree.pack_sequence_as(structure, _in_order_of(structure, given))
        config = {"class": model_class(model), "inputs": [_input_config(tensor) for tensor in model.inputs]}
        self.submodels[use] = Submodel(name, inputs, (), kwargs, config, model.trainable, within)
        outputs = (self._sequential if sequential else self._functional)(model, inputs, name, use)
        self.submodels[use] = dataclasses.replace(self.submodels[use], outputs=outputs)
        return outputs

    def _is_input(self, tensors):
        """True for an input of the model, also behind the quantizer that stores it."""
        call = next((call for call in self.calls if set(tensors) & set(call.outputs)), None)
        if call is None:
            return False
        kind = self.layers[call.layer].kind
        return self._is_input(call.inputs[:1]) if kind == "quantize" else kind == "input"


def _in_order_of(structure, given):
    """What a nested model was called on, flat in the order of its inputs; a dict goes by their names."""
    if isinstance(given, dict):
        names = sorted(structure) if isinstance(structure, dict) else keras.tree.flatten(structure)
        given = [given[name] for name in names]
    return keras.tree.flatten(given)


def _input_config(tensor):
    return {"batch_shape": tensor.shape, "dtype": tensor.dtype, "name": tensor.name}


def _map_tensors(structure, names):
    if isinstance(structure, dict):
        if structure.get("class_name") == "__keras_tensor__":
            return names[tuple(structure["config"]["keras_history"])]
        if "class_name" in structure:  # an array, a slice, ...
            return keras.saving.deserialize_keras_object(structure)
        return {key: _map_tensors(item, names) for key, item in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)(_map_tensors(item, names) for item in structure)
    return structure
