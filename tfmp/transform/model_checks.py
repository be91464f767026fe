"""Checks that models are finite, and compute the same when built from their configuration."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasModel
from tfmp.graph import Graph, map_references
from tfmp.mixins.restoring import restoring


def check_finite_weights(graph: Graph) -> None:
    """Raises `ValueError` if a weight, a range or a logit of a network, read with its weights, is NaN or infinite."""
    for layer in graph.in_order():
        for name, value in layer.arrays().items():
            if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
                raise ValueError(
                    f"Model `{graph.name}` must have finite weights. Received NaN or infinite values in `{name}` of "
                    f"layer `{layer.name}`: its training diverged. Go back to an earlier state, and train with a "
                    "smaller learning rate."
                )


_KNOWN = ("keras", "tf_keras", "tfmp")


def check_rebuilt(framework: Any, graph: Graph, model: KerasModel, rebuilt: KerasModel) -> None:
    """Compares layers of custom classes with the layers built from their configurations.

    If a configuration omits an argument, the new layer computes something else. Layers that are random, or that cannot
    be called alone, are not compared.

    Args:
        framework: The framework of the models.
        graph: The graph of `model`.
        model: The user's model.
        rebuilt: A model with the same layers, built from their configurations.

    Raises:
        ValueError: If a layer computes something else; the message names it.
    """
    calls = {call.layer: call for call in reversed(graph.calls)}
    for layer in graph.in_order():
        if layer.origin.layer_class is None or layer.origin.package in _KNOWN:
            continue
        inputs = _inputs(graph, calls[layer.name])
        before, again = (_outputs(framework.layer(model, layer.name), inputs) for _ in range(2))
        if before is None or not _are_close(before, again):
            continue
        after = _outputs(framework.layer(rebuilt, layer.name), inputs)
        if not _are_close(before, after):
            raise ValueError(
                f"Layer `{layer.name}` ({layer.origin.class_name}) computes something else when it is built again from "
                "its configuration. Give its class a `get_config` that returns all arguments of its constructor."
            )


def _inputs(graph, call):
    """Returns the arguments of a call with random numbers for its tensors; free sizes are 2."""
    rng = np.random.default_rng(0)

    def numbers(reference):
        tensor = graph.tensors[reference.name]
        shape = [2 if size is None else size for size in tensor.shape]
        return tf.cast(tf.constant(rng.normal(size=shape)), tensor.dtype)

    return map_references((call.args, dict(call.kwargs)), numbers)


def _outputs(layer, inputs):
    """Returns the flat outputs of a layer; None if it cannot be called alone."""
    args, kwargs = inputs
    try:
        with restoring(layer.variables):
            return [np.asarray(output) for output in tf.nest.flatten(layer(*args, **kwargs))]
    except Exception:  # the user's code may raise any exception
        return None


def _are_close(outputs, others):
    return others is not None and len(outputs) == len(others) and all(map(_is_close, outputs, others))


def _is_close(one, other):
    if one.shape != other.shape or not np.issubdtype(one.dtype, np.floating):
        return np.array_equal(one, other)
    return np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True)
