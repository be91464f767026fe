"""The layers and calls of a tf_keras model, those of nested models among them."""

import tensorflow as tf
import tf_keras

from tfmp.bindings.graph_reader import GraphReader
from tfmp.bindings.keras2.layer_reader import KerasLayerReader
from tfmp.bindings.keras2.model_structure import has_structure, model_class, nodes_by_layer
from tfmp.graph import Tensor


class ModelReader(GraphReader):
    """Reads a model of tf_keras.

    Args:
        model: A readable model.
        weights: If False, the arrays are left out.
    """

    tree = tf.nest

    def __init__(self, model, weights):
        super().__init__(model, KerasLayerReader(weights))

    def graph(self):
        inputs = [self._entrance(tensor) for tensor in self.model.inputs]
        inputs = tf.nest.pack_sequence_as(self.model.input, inputs)
        return self.made_of(inputs, self.run(self.model, inputs, "", ""))

    def operations(self, model):
        return model.layers

    def has_structure(self, operation):
        return has_structure(operation)

    def model_class(self, model):
        return model_class(model)

    def input_structure(self, model):
        return tf.nest.map_structure(lambda tensor: tensor.node.layer.name, model.input)

    def input_configs(self, model):
        return [
            {
                "shape": tuple(tensor.shape)[1:],
                "batch_size": tensor.shape[0],
                "dtype": tensor.dtype,
                "name": tensor.node.layer.name,
            }
            for tensor in model.inputs
        ]

    def run(self, model, inputs, path, within):
        """Calls the layers of a model; each layer's calls in the order in which the user made them."""
        names = dict(zip(map(id, model.inputs), tf.nest.flatten(inputs), strict=True))
        nodes = nodes_by_layer(model)
        shapes = self._inner_shapes(model, nodes, names)
        while nodes:
            before = sum(map(len, nodes.values()))
            for own in nodes.values():
                while own and all(id(tensor) in names for tensor in own[0].keras_inputs):
                    self._call_node(own.pop(0), names, shapes, path, within)
            nodes = {layer: own for layer, own in nodes.items() if own}
            if sum(map(len, nodes.values())) == before:
                raise ValueError(f"Model `{model.name}` has calls whose inputs nothing produces.")
        return tf.nest.map_structure(lambda tensor: names[id(tensor)], model.output)

    def _call_node(self, node, names, shapes, path, within):
        arguments = tf.nest.map_structure(
            lambda leaf: names.get(id(leaf), leaf), (tuple(node.call_args), dict(node.call_kwargs))
        )
        results = tf.nest.flatten(node.outputs)
        symbolic = [Tensor("", shapes.get(id(result), tuple(result.shape)), result.dtype.name) for result in results]
        references = self.call(node.layer, arguments, lambda: symbolic, path, within)
        names.update(zip(map(id, results), references, strict=True))

    def _entrance(self, tensor):
        layer, shape = tensor.node.layer, tuple(tensor.shape)
        if isinstance(self.model, tf_keras.Sequential):
            name = "input"
            while any(other.name == name for other in self.model.layers):
                name += "_1"
            # Without a `tf_keras.Input` the model has the size of its first batch, until it sees another.
            layer = tf_keras.layers.InputLayer(input_shape=shape[1:], dtype=tensor.dtype, name=name)
        (reference,) = self.call(layer, ((), {}), lambda: [layer.output], "", "")
        return reference

    def _inner_shapes(self, model, nodes, names):
        """Shapes of a model's tensors where it is used on others than it was made for."""
        specs = []
        for tensor in model.inputs:
            known = self.tensors[names[id(tensor)].name]
            specs.append(tf.TensorSpec(known.shape, known.dtype))
        if all(tuple(spec.shape) == tuple(tensor.shape) for spec, tensor in zip(specs, model.inputs, strict=True)):
            return {}
        inner = [tensor for own in nodes.values() for node in own for tensor in tf.nest.flatten(node.outputs)]
        traced = tf.function(tf_keras.Model(model.inputs, inner)).get_concrete_function(specs)
        outputs = tf.nest.flatten(traced.structured_outputs)
        return {id(tensor): tuple(output.shape) for tensor, output in zip(inner, outputs, strict=True)}
