"""A Keras 3 layer, or an operation used without one, as a `Layer` of the graph."""

import keras

from tfmp.bindings.keras3 import layer_variables
from tfmp.bindings.layer_reader import LayerReader


class KerasLayerReader(LayerReader):
    """Reads layers of Keras 3."""

    framework = "keras"

    def config(self, operation):
        config = operation.get_config()
        if isinstance(operation, keras.layers.Lambda):
            # A Python function is not rebuilt from its code: what it refers to would be missing.
            config |= {"function": operation.function, "mask": operation.mask, "arguments": operation.arguments}
            if callable(operation._output_shape):  # no public name; its configuration is code as well
                config["output_shape"] = operation._output_shape
        return config

    def known_as(self, operation, config, call):
        return type(operation), config

    def weights(self, operation):
        return layer_variables.layer_weights(operation) if isinstance(operation, keras.layers.Layer) else {}

    def num_parameters(self, operation):
        return layer_variables.num_parameters(operation)
