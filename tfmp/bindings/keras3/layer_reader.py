"""A Keras 3 layer, or an operation used without one, as a `Layer` of the graph."""

import keras
import numpy as np

from tfmp.bindings.keras3.layer_variables import layer_weights, num_parameters
from tfmp.bindings.kinds import MULTIPLYING, kind_and_attributes
from tfmp.bindings.layer_shapes import layer_shape
from tfmp.bindings.left_alone import reason_left_alone
from tfmp.types import UNQUANTIZED, Layer, Selection


def read_layer(operation, call, tensors, *, reads_network_input, weights):
    """Returns what the graph says about a layer.

    Args:
        operation: The layer, or the operation used without one.
        call: Its first `Call`.
        tensors: The graph's tensors by name, those of the call among them.
        reads_network_input: True if that call reads an input of the whole model.
        weights: If False, the arrays are left out.
    """
    config = _config(operation)
    kind, attributes = kind_and_attributes(type(operation), config, call=call)
    if kind == "other":
        attributes = {**attributes, "left_because": reason_left_alone(type(operation))}
    variables = {}
    if isinstance(operation, keras.layers.Layer) and (weights or kind in MULTIPLYING.values()):
        variables = layer_weights(operation)
    shape = None
    if kind in MULTIPLYING.values():
        output, kernel = tensors[call.outputs[0]].shape, variables["kernel"].shape
        shape = layer_shape(
            call.layer,
            kind,
            attributes,
            output,
            kernel,
            reads_network_input=reads_network_input,
            input_shape=tensors[call.inputs[0]].shape,
        )
    return Layer(
        call.layer,
        kind,
        config={"class": type(operation), "config": config},
        attributes=attributes,
        weights=variables if weights else {},
        shape=shape,
        weight=_selection(getattr(operation, "weight_selector", None)),
        activation=_selection(getattr(operation, "activation_selector", None)),
        trainable=getattr(operation, "trainable", True),
        num_parameters=num_parameters(operation),
    )


def _config(operation):
    config = operation.get_config()
    if isinstance(operation, keras.layers.Lambda):
        # A Python function is not rebuilt from its code: what it refers to would be missing.
        config |= {"function": operation.function, "mask": operation.mask, "arguments": operation.arguments}
        if callable(operation._output_shape):  # no public name; its configuration is code as well
            config["output_shape"] = operation._output_shape
    return config


def _selection(selector):
    if selector is None:
        return UNQUANTIZED
    probabilities = tuple(float(p) for p in np.asarray(selector.probabilities()))
    return Selection(selector.formats, probabilities, selector.quantizer, selector.signed)
