"""The variables of a tf_keras layer by paths that do not depend on its model."""

import math

import tensorflow as tf
import tf_keras

from tfmp.bindings.layer_weights import assign

_CHILDREN = ("weight_selector", "activation_selector", "selection_cost", "candidate_kernels")
# What the other Keras, and so every transform, calls it.
_RENAMED = {"depthwise_kernel": "kernel"}


def variables_by_path(layer):
    """Returns a layer's variables by their names, behind the name of the child that holds them.

    Scopes in front say only how the layer was built: by a call, from a file or by hand.
    """
    children = [child for child in (getattr(layer, name, None) for name in _CHILDREN) if child is not None]
    holders = {id(variable): f"{child.name}/" for child in children for variable in child.variables}
    variables = {}
    for variable in layer.variables:
        if not isinstance(variable, tf.Variable):  # the vocabulary of a layer of words
            continue
        name = variable.name.split("/")[-1].split(":")[0]
        path = holders.get(id(variable), "") + _RENAMED.get(name, name)
        while path in variables:
            path += "'"
        variables[path] = variable
    return variables


def layer_weights(layer, shared=()):
    """Returns a layer's arrays by path relative to the layer, but for the variables at the positions `shared`."""
    return {path: variable.numpy() for path, variable in _counted(layer, shared).items()}


def assign_weights(layer, weights, shared=()):
    """Writes arrays into a layer's variables; see `tfmp.bindings.layer_weights.assign`."""
    assign(layer, weights, variables=_counted(layer, shared) if weights else {}, framework=tf_keras)


def num_parameters(layer, shared=()):
    """Numbers in a layer's weights, what the search adds left out and the variables at the positions `shared`."""
    return sum(math.prod(v.shape) for path, v in _counted(layer, shared).items() if path.split("/")[0] not in _CHILDREN)


def _counted(layer, shared):
    variables = variables_by_path(layer).items()
    return {path: variable for position, (path, variable) in enumerate(variables) if position not in shared}
