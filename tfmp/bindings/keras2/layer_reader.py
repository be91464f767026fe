"""Reads a tf_keras layer into a `Layer`."""

import tf_keras

from tfmp.bindings.keras2 import layer_variables
from tfmp.bindings.layer_reader import LayerReader, no_configuration

# TensorFlow functions called on a model's tensors, by the Keras 3 operation that computes the same.
_FUNCTIONS = {
    "__operators__.add": "Add",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.truediv": "TrueDivide",
    "math.divide": "Divide",
    "math.negative": "Negative",
    "concat": "Concatenate",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.elu": "Elu",
    "nn.silu": "Silu",
    "math.sigmoid": "Sigmoid",
    "math.tanh": "Tanh",
    "identity": "Identity",
    "cast": "Cast",
    "math.argmax": "Argmax",
    "math.argmin": "Argmin",
    "math.greater": "Greater",
    "math.greater_equal": "GreaterEqual",
    "math.less": "Less",
    "math.less_equal": "LessEqual",
    "math.equal": "Equal",
    "math.not_equal": "NotEqual",
    "__operators__.eq": "Equal",
    "__operators__.ne": "NotEqual",
    "math.logical_and": "LogicalAnd",
    "math.logical_or": "LogicalOr",
    "math.logical_not": "LogicalNot",
}


class KerasLayerReader(LayerReader):
    """Reads layers of tf_keras."""

    framework = "tf_keras"
    package = tf_keras

    def config(self, operation):
        try:
            config = operation.get_config()
        except NotImplementedError as error:
            raise no_configuration(operation, self.framework) from error
        if isinstance(operation, tf_keras.layers.Lambda):
            # A Python function is not rebuilt from its code: what it refers to would be missing.
            own = {"function": operation.function, "arguments": operation.arguments, "mask": operation.mask}
            # No public name; its configuration is code as well.
            config = {**tf_keras.layers.Layer.get_config(operation), **own, "output_shape": operation._output_shape}
        elif type(operation) is tf_keras.layers.BatchNormalization and operation.synchronized:
            config = {**config, "synchronized": True}  # which tf_keras forgets
        return config

    def known_as(self, operation, config, call):
        if type(operation).__name__ != "TFOpLambda":
            return type(operation), config
        name = _FUNCTIONS.get(config["function"], "")
        if name == "Concatenate":
            config = {**config, "axis": call.kwargs.get("axis", call.args[-1])}
        elif name in ("Argmax", "Argmin"):
            config = {**config, "axis": call.kwargs.get("axis", call.args[1] if len(call.args) > 1 else None)}
        elif name == "Elu":
            config = {**config, "alpha": 1.0}
        return name, config

    def variables(self, operation):
        return list(layer_variables.variables_by_path(operation).values())

    def weights(self, operation, shared):
        return layer_variables.layer_weights(operation, shared)

    def num_parameters(self, operation, shared):
        return layer_variables.num_parameters(operation, shared)
