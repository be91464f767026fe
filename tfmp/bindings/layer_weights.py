"""Sets the variables of a Keras layer from arrays."""

import numpy as np


def assign(layer, weights, *, variables, framework):
    """Writes arrays into a layer's variables; those it has and `weights` lacks keep their values.

    Args:
        layer: The layer.
        weights: Arrays by path.
        variables: The layer's variables by path.
        framework: The package, `keras` or `tf_keras`.

    Raises:
        ValueError: If the layer lacks a variable that `weights` has, or has it in another shape.
    """
    if any(path not in variables or tuple(variables[path].shape) != np.shape(weights[path]) for path in weights):
        # A layer whose children Keras numbers has other paths each time it is built, in the same order.
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
    _finalize(layer, framework)


def _finalize(layer, framework):
    """Does what Keras does after loading variables: an adapted normalization keeps their values elsewhere."""
    if isinstance(layer, framework.layers.Normalization):
        layer.finalize_state()
    for child in layer.layers if isinstance(layer, framework.Model) else ():
        _finalize(child, framework)
