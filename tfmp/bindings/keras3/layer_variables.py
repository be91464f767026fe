"""The variables of a Keras 3 layer by paths that do not depend on its model."""

import math

import keras
import numpy as np

from tfmp.bindings.layer_weights import assign


def layer_weights(layer):
    """Returns a layer's arrays by path relative to the layer."""
    return {path: np.asarray(variable) for path, variable in _by_path(layer).items()}


def assign_weights(layer, weights):
    """Writes arrays into a layer's variables; see `tfmp.bindings.layer_weights.assign`."""
    assign(layer, weights, variables=_by_path(layer) if weights else {}, framework=keras)


def num_parameters(operation):
    """Numbers in a layer's weights, what the search adds left out."""
    if not isinstance(operation, keras.layers.Layer):
        return 0
    own = ("weight_selector", "activation_selector", "selection_cost", "candidate_kernels")
    variables, weights = _by_path(operation), {id(weight) for weight in operation.weights}
    return sum(
        math.prod(variable.shape)
        for path, variable in variables.items()
        if id(variable) in weights and path.split("/")[0] not in own
    )


def _by_path(layer):
    variables = {}
    for variable in layer.variables:
        segments = variable.path.split("/")
        start = segments.index(layer.name) + 1 if layer.name in segments else 0
        path = "/".join(segments[start:])
        while path in variables:
            path += "'"
        variables[path] = variable
    return variables
