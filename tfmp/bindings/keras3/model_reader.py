"""The layers and calls of a Keras 3 model, those of nested models among them."""

import collections

import keras

from tfmp.bindings.graph_reader import GraphReader
from tfmp.bindings.keras3.layer_reader import KerasLayerReader
from tfmp.bindings.keras3.model_structure import (
    functional_config,
    has_structure,
    is_functional,
    map_histories,
    model_class,
)
from tfmp.graph import TensorRef, map_references


class ModelReader(GraphReader):
    """Reads a model of Keras 3.

    Args:
        model: A readable model.
        weights: If False, the arrays are left out.
    """

    tree = keras.tree

    def __init__(self, model, weights):
        super().__init__(model, KerasLayerReader(weights))
        self._configs = {}

    def graph(self):
        if isinstance(self.model, keras.Sequential):
            (inputs,) = self._call(self._sequential_entrance(), (), {}, "", "")
        else:
            names = self.input_structure(self.model)
            layers = {operation.name: operation for operation in self.model.operations}
            for name in keras.tree.flatten(names):
                self._call(layers[name], (), {}, "", "")
            inputs = keras.tree.map_structure(TensorRef, names)
        return self.made_of(inputs, self.run(self.model, inputs, "", ""))

    def operations(self, model):
        return model.layers if isinstance(model, keras.Sequential) else model.operations

    def has_structure(self, operation):
        return has_structure(operation)

    def model_class(self, model):
        return model_class(model)

    def input_structure(self, model):
        if isinstance(model, keras.Sequential):
            return model.inputs[0].name
        return map_histories(self._config(model)["input_layers"], lambda history: history[0])

    def input_configs(self, model):
        return [{"batch_shape": tensor.shape, "dtype": tensor.dtype, "name": tensor.name} for tensor in model.inputs]

    def run(self, model, inputs, path, within):
        return (self._sequential if isinstance(model, keras.Sequential) else self._functional)(
            model, inputs, path, within
        )

    def _config(self, model):
        if id(model) not in self._configs:
            self._configs[id(model)] = functional_config(model)
        return self._configs[id(model)]

    def _sequential_entrance(self):
        first = self.model.inputs[0]
        name = "input"
        while any(layer.name == name for layer in self.model.layers):
            name += "_1"
        return keras.layers.InputLayer(batch_shape=first.shape, dtype=first.dtype, name=name)

    def _sequential(self, model, current, path, within):
        for layer in model.layers:
            found = self._call(layer, (current,), {}, path, within)
            current = found[0] if len(found) == 1 else found
        return current

    def _functional(self, model, inputs, path, within):
        """Calls the layers of a functional model; each layer's calls in the order in which the user made them."""
        config, names = self._config(model), {}
        operations = {operation.name: operation for operation in model.operations}
        entrances = keras.tree.flatten(self.input_structure(model))
        for name, reference in zip(entrances, keras.tree.flatten(inputs), strict=True):
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
                    for position, reference in enumerate(self._call(operations[name], *arguments, path, within)):
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
        def results():
            if isinstance(operation, keras.layers.InputLayer):
                return keras.tree.flatten(operation.output)
            symbolic = map_references((tuple(args), dict(kwargs)), self._symbolic)
            return keras.tree.flatten(operation.compute_output_spec(*symbolic[0], **symbolic[1]))

        return self.call(operation, (args, kwargs), results, path, within)

    def _symbolic(self, reference):
        tensor = self.tensors[reference.name]
        return keras.KerasTensor(tensor.shape, dtype=tensor.dtype)


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
