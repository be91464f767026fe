"""The variables of a Keras 3 layer by paths that do not depend on its model."""

import math

import keras
import numpy as np


def layer_weights(layer):
    """Returns a layer's arrays by path relative to the layer."""
    return {path: np.asarray(variable) for path, variable in _by_path(layer).items()}


def assign_weights(layer, weights):
    """Writes arrays into a layer's variables; those it has and `weights` lacks keep their values.

    Raises:
        ValueError: If the layer lacks a variable that `weights` has.
    """
    variables = _by_path(layer) if weights else {}
    if any(path not in variables for path in weights):
        # A layer whose children Keras numbers has other paths each time it is built, in the same order.
        shapes = [tuple(np.shape(value)) for value in weights.values()]
        if shapes != [tuple(variable.shape) for variable in variables.values()]:
            raise ValueError(
                f"Layer `{layer.name}` does not build again from its configuration: expected variables "
                f"{', '.join(weights)}; it has {', '.join(variables) or 'none'}. Give it a `get_config` with all its "
                "arguments, and a `build` that makes all its variables."
            )
        variables = dict(zip(weights, variables.values(), strict=True))
    for path, value in weights.items():
        variables[path].assign(value)
    _finalize(layer)


def _finalize(layer):
    """Does what Keras does after loading variables: an adapted normalization keeps their values elsewhere."""
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()
    for child in layer.layers if isinstance(layer, keras.Model) else ():
        _finalize(child)


def num_parameters(operation):
    """Numbers in a layer's weights, those of its selectors and their price left out."""
    if not isinstance(operation, keras.layers.Layer):
        return 0
    own = ("weight_selector", "activation_selector", "selection_cost")
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
