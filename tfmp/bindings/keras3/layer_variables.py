"""The variables of a Keras 3 layer by paths that do not depend on its model."""

import math

import keras
import numpy as np

from tfmp.bindings.layer_weights import assign


def layer_weights(operation, shared=()):
    """Returns a layer's arrays by path relative to the layer, but for the variables at the positions `shared`."""
    return {path: np.asarray(variable) for path, variable in _counted(operation, shared).items()}


def assign_weights(layer, weights, shared=()):
    """Writes arrays into a layer's variables; see `tfmp.bindings.layer_weights.assign`."""
    assign(layer, weights, variables=_counted(layer, shared) if weights else {}, framework=keras)


def num_parameters(operation, shared=()):
    """Numbers in a layer's weights, what the search adds left out and the variables at the positions `shared`."""
    if not isinstance(operation, keras.layers.Layer):
        return 0
    own = ("weight_selector", "activation_selector", "selection_cost", "candidate_kernels")
    variables, weights = _counted(operation, shared), {id(weight) for weight in operation.weights}
    return sum(
        math.prod(variable.shape)
        for path, variable in variables.items()
        if id(variable) in weights and path.split("/")[0] not in own
    )


def variables_by_path(operation):
    """Returns a layer's variables by path relative to the layer; none for an operation used without a layer."""
    variables = {}
    if not isinstance(operation, keras.layers.Layer):
        return variables
    for variable in operation.variables:
        segments = variable.path.split("/")
        start = segments.index(operation.name) + 1 if operation.name in segments else 0
        path = "/".join(segments[start:])
        while path in variables:
            path += "'"
        variables[path] = variable
    return variables


def _counted(operation, shared):
    variables = variables_by_path(operation).items()
    return {path: variable for position, (path, variable) in enumerate(variables) if position not in shared}
