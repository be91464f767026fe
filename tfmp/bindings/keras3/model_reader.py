"""Reads the layers and calls of a Keras 3 model and its nested models."""

import dataclasses
import functools
import weakref
from collections.abc import Mapping
from typing import Any

import keras

from tfmp.bindings.graph_reader import GraphReader
from tfmp.graph import TensorRef, map_references


@dataclasses.dataclass(frozen=True)
class _Structure:
    """The calls, inputs and outputs of a functional model, as in its configuration.

    Args:
        names: Names of the operations when it was read.
        nodes: Maps the name of an operation to its calls.
        inputs: Nested structure of `[name, node, tensor]`.
        outputs: The same.
    """

    names: tuple[str, ...]
    nodes: Mapping[str, Any]
    inputs: Any
    outputs: Any


# A model keeps its structure, and its configuration takes long: Keras writes that of every layer into it.
_STRUCTURES: "weakref.WeakKeyDictionary[Any, _Structure]" = weakref.WeakKeyDictionary()


class ModelReader(GraphReader):
    """Reads a model of Keras 3 from its public configuration; see `GraphReader`."""

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

    def input_structure(self, model):
        if isinstance(model, keras.Sequential):
            return model.inputs[0].name
        return _map_histories(self._structure(model).inputs, lambda history: history[0])

    def input_configs(self, model):
        return [{"batch_shape": tensor.shape, "dtype": tensor.dtype, "name": tensor.name} for tensor in model.inputs]

    def run(self, model, inputs, path, within):
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                outputs = self._call(layer, (inputs,), {}, path, within)
                inputs = outputs[0] if len(outputs) == 1 else outputs
            return inputs
        structure, names = self._structure(model), {}
        operations = {operation.name: operation for operation in model.operations}
        entrances = keras.tree.flatten(self.input_structure(model))
        for name, reference in zip(entrances, keras.tree.flatten(inputs), strict=True):
            names[name, 0, 0] = reference

        def arguments_of(node):
            try:
                return _map_tensors((node["args"], node["kwargs"]), names)
            except KeyError:
                return None

        def call(name, number, node, arguments):
            for position, reference in enumerate(self._call(operations[name], *arguments, path, within)):
                names[name, number, position] = reference

        self.call_in_order(model, structure.nodes, arguments_of, call)

        def reference(history):
            # Only here, Keras counts the call that built a nested model.
            name, index, position = history
            return names[name, index - isinstance(operations[name], functional_class()), position]

        return _map_histories(structure.outputs, reference)

    def _structure(self, model):
        """Returns the structure of a functional model; it is read once, and again if a layer was renamed."""
        names = tuple(operation.name for operation in model.operations)
        known = _STRUCTURES.get(model)
        if known is None or known.names != names:
            config = self._config(model)
            nodes = {entry["name"]: entry["inbound_nodes"] for entry in config["layers"]}
            known = _STRUCTURES[model] = _Structure(names, nodes, config["input_layers"], config["output_layers"])
        return known

    def _config(self, model):
        """Returns the configuration of a functional model with its layers, calls, inputs and outputs."""
        try:
            config = model.get_config()
            # A subclass with its own constructor also has its own configuration.
            return config if "input_layers" in config else keras.Model(model.input, model.output).get_config()
        except NotImplementedError:
            for operation in model.operations:
                self.layer_reader.config(operation)  # an error that names the layer
            raise

    def _sequential_entrance(self):
        first = self.model.inputs[0]
        return keras.layers.InputLayer(batch_shape=first.shape, dtype=first.dtype, name=self.free_name("input"))

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


@functools.cache
def functional_class():
    """Returns the class of functional models, which has no public name."""
    inputs = keras.Input((1,))
    return type(keras.Model(inputs, inputs))


def _map_histories(structure, function):
    """Maps the `[layer, node, tensor]` triples in the nested structure of a model's inputs or outputs."""
    if isinstance(structure, dict):
        return {key: _map_histories(item, function) for key, item in structure.items()}
    if len(structure) == 3 and isinstance(structure[0], str):
        return function(structure)
    return type(structure)(_map_histories(item, function) for item in structure)


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
