"""Reads a Keras 3 layer or operation into a `Layer`."""

import keras

from tfmp.bindings.keras3 import layer_variables
from tfmp.bindings.layer_reader import LayerReader, no_configuration


class KerasLayerReader(LayerReader):
    """Reads layers of Keras 3."""

    framework = "keras"
    package = keras

    def config(self, operation):
        try:
            config = operation.get_config()
        except NotImplementedError as error:
            raise no_configuration(operation, self.framework) from error
        if isinstance(operation, keras.layers.Lambda):
            # A Python function is not rebuilt from its code: what it refers to would be missing.
            config |= {"function": operation.function, "mask": operation.mask, "arguments": operation.arguments}
            if callable(operation._output_shape):  # no public name; its configuration is code as well
                config["output_shape"] = operation._output_shape
        return config

    def known_as(self, operation, config, call):
        return type(operation), config

    def variables(self, operation):
        return list(layer_variables.variables_by_path(operation).values())

    def weights(self, operation, shared):
        return layer_variables.layer_weights(operation, shared)

    def num_parameters(self, operation, shared):
        return layer_variables.num_parameters(operation, shared)
