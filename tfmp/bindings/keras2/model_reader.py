"""The structure of a tf_keras model, from the public record of its calls."""

import numpy as np
import tensorflow as tf
import tf_keras

from tfmp.bindings.keras2.layer_variables import layer_weights, num_parameters
from tfmp.bindings.kinds import MULTIPLYING, kind_and_attributes
from tfmp.bindings.layer_shapes import layer_shape
from tfmp.types import UNQUANTIZED, Call, Graph, Layer, Selection, Tensor, TensorRef

FRAMEWORK = "tf_keras"
# TensorFlow functions called on a model's tensors, by the layer that computes the same.
_FUNCTIONS = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "concat": "Concatenate",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
}


def check_readable(model):
    """Raises an error that says what to do unless the model is built, and Sequential or functional."""
    if not isinstance(model, tf_keras.Model):
        raise TypeError(f"Expected a tf_keras model. Received: {type(model).__name__}")
    if not model.built:
        raise ValueError(
            f"Model `{model.name}` is not built: its weights do not exist yet. Give it a `tf_keras.Input`, or call "
            "`model.build(input_shape)`."
        )
    if not model.outputs:
        raise ValueError(
            f"Model `{model.name}` is a subclass of `tf_keras.Model`: its structure is hidden in Python code. Build it "
            "as a functional model, `tf_keras.Model(inputs, outputs)`, for example by calling it once on "
            "`tf_keras.Input(...)`."
        )


def find_layer(model, name):
    """A layer of a model by its name; also the input of a Sequential model, which is none of its `layers`."""
    return next(layer for layer in _layers(model) if layer.name == name)


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
        self.names = {}  # id of a tensor of tf_keras to its name here

    def read(self):
        nodes = _nodes(self.model)
        pending = []
        for layer in _layers(self.model):
            own = [node for node in layer.inbound_nodes if id(node) in nodes]
            pending += [(layer.name if i == 0 else f"{layer.name}:call_{i}", node) for i, node in enumerate(own)]
        while pending:
            ready = [item for item in pending if all(id(tensor) in self.names for tensor in item[1].keras_inputs)]
            for base, node in ready:
                self._add_call(base, node)
            pending = [item for item in pending if item not in ready]
        inputs, outputs = (self._references(structure) for structure in (self.model.input, self.model.output))
        return Graph(self.model.name, self.layers, tuple(self.calls), self.tensors, inputs, outputs, FRAMEWORK)

    def _add_call(self, base, node):
        results = tf.nest.flatten(node.outputs)
        outputs = tuple(base if i == 0 else f"{base}:{i}" for i in range(len(results)))
        for name, result in zip(outputs, results, strict=True):
            self.names[id(result)] = name
            self.tensors[name] = Tensor(name, self._shape(result), result.dtype.name)
        args, kwargs = (self._references(structure) for structure in (tuple(node.call_args), dict(node.call_kwargs)))
        self.calls.append(Call(node.layer.name, args, kwargs, outputs))
        if node.layer.name not in self.layers:
            self.layers[node.layer.name] = self._layer(node.layer, self.calls[-1])

    def _references(self, structure):
        return tf.nest.map_structure(
            lambda leaf: TensorRef(self.names[id(leaf)]) if id(leaf) in self.names else leaf, structure
        )

    def _shape(self, tensor):
        shape = tuple(tensor.shape)
        # Sequential models that were built by a batch have its size, until they see another.
        return (None, *shape[1:]) if isinstance(self.model, tf_keras.Sequential) else shape

    def _layer(self, layer, call):
        config = layer.get_config()
        if "batch_input_shape" in config and isinstance(layer, tf_keras.layers.InputLayer):
            config["batch_input_shape"] = self.tensors[call.outputs[0]].shape
        found_class, own_config = _class_and_config(layer, config, call)
        kind, attributes = kind_and_attributes(found_class, own_config, call=call, framework=FRAMEWORK)
        variables = layer_weights(layer) if self.with_weights or kind in MULTIPLYING.values() else {}
        shape = None
        if kind in MULTIPLYING.values():
            shape = layer_shape(
                layer.name,
                kind,
                attributes,
                self.tensors[call.outputs[0]].shape,
                variables["kernel"].shape,
                reads_network_input=self._is_input(call.inputs[0]),
                input_shape=self.tensors[call.inputs[0]].shape,
            )
        return Layer(
            layer.name,
            kind,
            config={"class": type(layer), "config": config},
            attributes=attributes,
            weights=variables if self.with_weights else {},
            shape=shape,
            weight=_selection(getattr(layer, "weight_selector", None)),
            activation=_selection(getattr(layer, "activation_selector", None)),
            trainable=layer.trainable,
            num_parameters=num_parameters(layer),
        )

    def _is_input(self, tensor):
        """True for an input of the model, also behind the quantizer that stores it."""
        call = next(call for call in self.calls if tensor in call.outputs)
        kind = self.layers[call.layer].kind
        return self._is_input(call.inputs[0]) if kind == "quantize" else kind == "input"


def _layers(model):
    entrances = [tensor.node.layer for tensor in model.inputs]
    return list({id(layer): layer for layer in [*entrances, *model.layers]}.values())


def _nodes(model):
    """The calls that lead from a model's inputs to its outputs, by their id; layers may be used elsewhere too."""
    found, open_tensors = {}, list(tf.nest.flatten(model.outputs))
    while open_tensors:
        node = open_tensors.pop().node
        if id(node) not in found:
            found[id(node)] = node
            open_tensors += node.keras_inputs
    return found


def _class_and_config(layer, config, call):
    """What to look a layer up by: its class, or the name of the layer that computes the same."""
    if type(layer).__name__ != "TFOpLambda":
        return type(layer), config
    name = _FUNCTIONS.get(config["function"], "")
    if name == "Concatenate":
        config = {**config, "axis": call.kwargs.get("axis", call.args[-1])}
    return name, config


def _selection(selector):
    if selector is None:
        return UNQUANTIZED
    probabilities = tuple(float(p) for p in np.asarray(selector.probabilities()))
    return Selection(selector.formats, probabilities, selector.quantizer, selector.signed)
