"""The variables of a tf_keras layer by paths that do not depend on its model."""

import math

import numpy as np
import tf_keras

_CHILDREN = ("weight_selector", "activation_selector", "selection_cost")
# What the other Keras, and so every transform, calls it.
_RENAMED = {"depthwise_kernel": "kernel"}


def variables_by_path(layer):
    """Returns a layer's variables by their names, behind the name of the selector that holds them.

    Scopes in front say only how the layer was built: by a call, from a file or by hand.
    """
    children = [child for child in (getattr(layer, name, None) for name in _CHILDREN) if child is not None]
    holders = {id(variable): f"{child.name}/" for child in children for variable in child.variables}
    variables = {}
    for variable in layer.variables:
        name = variable.name.split("/")[-1].split(":")[0]
        path = holders.get(id(variable), "") + _RENAMED.get(name, name)
        while path in variables:
            path += "'"
        variables[path] = variable
    return variables


def layer_weights(layer):
    """Returns a layer's arrays by path relative to the layer."""
    return {path: variable.numpy() for path, variable in variables_by_path(layer).items()}


def assign_weights(layer, weights):
    """Writes arrays into a layer's variables; those it has and `weights` lacks keep their values.

    Raises:
        ValueError: If the layer lacks a variable that `weights` has.
    """
    variables = variables_by_path(layer) if weights else {}
    if any(path not in variables or variables[path].shape != np.shape(weights[path]) for path in weights):
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
    if isinstance(layer, tf_keras.layers.Normalization):
        layer.finalize_state()
    for child in layer.layers if isinstance(layer, tf_keras.Model) else ():
        _finalize(child)


def num_parameters(layer):
    """Numbers in a layer's weights, those of its selectors and their price left out."""
    return sum(
        math.prod(v.shape) for path, v in variables_by_path(layer).items() if path.split("/")[0] not in _CHILDREN
    )
