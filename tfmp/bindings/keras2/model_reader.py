"""Reads the layers and calls of a tf_keras model and its nested models."""

import tensorflow as tf
import tf_keras

from tfmp.bindings.graph_reader import GraphReader
from tfmp.graph import Tensor


class ModelReader(GraphReader):
    """Reads a model of tf_keras from the nodes that record its calls; see `GraphReader`."""

    def graph(self):
        inputs = [self._entrance(tensor) for tensor in self.model.inputs]
        inputs = tf.nest.pack_sequence_as(self.model.input, inputs)
        return self.made_of(inputs, self.run(self.model, inputs, "", ""))

    def input_structure(self, model):
        return tf.nest.map_structure(lambda tensor: tensor.node.layer.name, model.input)

    def input_configs(self, model):
        return [
            {"batch_shape": tuple(tensor.shape), "dtype": tensor.dtype, "name": tensor.node.layer.name}
            for tensor in model.inputs
        ]

    def run(self, model, inputs, path, within):
        names = dict(zip(map(id, model.inputs), tf.nest.flatten(inputs), strict=True))
        nodes = _nodes_by_layer(model)
        shapes = self._inner_shapes(model, nodes, names)

        def arguments_of(node):
            if not all(id(tensor) in names for tensor in node.keras_inputs):
                return None
            structure = tuple(node.call_args), dict(node.call_kwargs)
            return tf.nest.map_structure(lambda leaf: names.get(id(leaf), leaf), structure)

        def call(layer, number, node, arguments):
            results = tf.nest.flatten(node.outputs)
            symbolic = [Tensor("", shapes.get(id(each), tuple(each.shape)), each.dtype.name) for each in results]
            references = self.call(layer, arguments, lambda: symbolic, path, within)
            names.update(zip(map(id, results), references, strict=True))

        self.call_in_order(model, nodes, arguments_of, call)
        return tf.nest.map_structure(lambda tensor: names[id(tensor)], model.output)

    def _entrance(self, tensor):
        layer, shape = tensor.node.layer, tuple(tensor.shape)
        if isinstance(self.model, tf_keras.Sequential):
            # Without a `tf_keras.Input` the model has the batch size of its first batch, until it sees another.
            options = {"input_shape": shape[1:], "dtype": tensor.dtype, "name": self.free_name("input")}
            layer = tf_keras.layers.InputLayer(**options)
        (reference,) = self.call(layer, ((), {}), lambda: [layer.output], "", "")
        return reference

    def _inner_shapes(self, model, nodes, names):
        """Returns the shapes of a model's tensors when it is called on other shapes than it was built for."""
        specs = []
        for tensor in model.inputs:
            known = self.tensors[names[id(tensor)].name]
            specs.append(tf.TensorSpec(known.shape, known.dtype))
        if all(tuple(spec.shape) == tuple(tensor.shape) for spec, tensor in zip(specs, model.inputs, strict=True)):
            return {}
        inner = [tensor for calls in nodes.values() for node in calls for tensor in tf.nest.flatten(node.outputs)]
        traced = tf.function(tf_keras.Model(model.inputs, inner)).get_concrete_function(specs)
        outputs = tf.nest.flatten(traced.structured_outputs)
        return {id(tensor): tuple(output.shape) for tensor, output in zip(inner, outputs, strict=True)}


def _nodes_by_layer(model):
    """Returns the calls that lead from a model's inputs to its outputs, by layer, without input layers.

    The layers are in the model's order. Calls of the layers in other models are not included.
    """
    entrances = {id(tensor.node) for tensor in model.inputs}
    visited, open_tensors = {}, list(tf.nest.flatten(model.outputs))
    while open_tensors:
        node = open_tensors.pop().node
        if id(node) not in visited and id(node) not in entrances:
            visited[id(node)] = node
            open_tensors += node.keras_inputs
    nodes = {layer: [node for node in layer.inbound_nodes if id(node) in visited] for layer in model.layers}
    return {layer: calls for layer, calls in nodes.items() if calls}
