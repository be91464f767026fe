"""Reads and sets the variables of a Keras layer by paths that do not depend on its model."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from tfmp.annotations import KerasLayer

CHILDREN = ("weight_selector", "activation_selector", "selection_cost", "candidate_kernels")  # added by a search


def layer_weights(framework: Any, layer: KerasLayer, shared: Collection[int] = ()) -> dict[str, np.ndarray]:
    """Returns a layer's arrays by path relative to the layer, except for the variables at the positions `shared`."""
    variables = _counted(framework, layer, shared).items()
    return {path: framework.tf_variable(variable).numpy() for path, variable in variables}


def num_parameters(framework: Any, layer: KerasLayer, shared: Collection[int] = ()) -> int:
    """Returns the number of parameters, without those of a search and the variables at the positions `shared`."""
    weights = {id(weight) for weight in getattr(layer, "weights", ())}
    return sum(
        math.prod(variable.shape)
        for path, variable in _counted(framework, layer, shared).items()
        if id(variable) in weights and path.split("/")[0] not in CHILDREN
    )


def assign_weights(
    framework: Any, layer: KerasLayer, weights: Mapping[str, np.ndarray], shared: Collection[int] = ()
) -> None:
    """Writes arrays into a layer's variables; those it has and `weights` lacks keep their values.

    Args:
        framework: The `tfmp.bindings.framework.Framework` of the layer.
        layer: The layer.
        weights: Arrays by path.
        shared: Positions of variables that are skipped.

    Raises:
        ValueError: If the layer lacks a variable that `weights` has, or has it in another shape.
    """
    variables = _counted(framework, layer, shared) if weights else {}
    if any(path not in variables or tuple(variables[path].shape) != np.shape(weights[path]) for path in weights):
        # If Keras numbers the children of a layer, their paths change each time it is built, but not their order.
        shapes = [np.shape(value) for value in weights.values()]
        if shapes != [tuple(variable.shape) for variable in variables.values()]:
            raise ValueError(
                f"Layer `{layer.name}` does not build again from its configuration: expected variables "
                f"{', '.join(weights)}; it has {', '.join(variables) or 'none'}. Give it a `get_config` with all its "
                "arguments, and a `build` that makes all its variables."
            )
        variables = dict(zip(weights, variables.values(), strict=True))
    for path, value in weights.items():
        variables[path].assign(value)
    _finalize(layer, framework.package)


def _counted(framework, layer, shared):
    variables = framework.variables_by_path(layer).items()
    return {path: variable for position, (path, variable) in enumerate(variables) if position not in shared}


def _finalize(layer, package):
    """Updates the values that an adapted normalization derives from its variables, as Keras does after loading."""
    if isinstance(layer, package.layers.Normalization):
        layer.finalize_state()
    for child in layer.layers if isinstance(layer, package.Model) else ():
        _finalize(child, package)
