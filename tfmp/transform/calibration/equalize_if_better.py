"""Equalizes the channels of a network if this reduces its error on held-out data."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.graph import Graph
from tfmp.transform.calibration.calibrate import calibrate_ranges
from tfmp.transform.edits.equalized import equalized

EQUALIZED = "ranges, equalization"


def equalize_if_better(
    model: KerasModel, floating: Graph, inputs: Sequence[Any], error_of: Callable[[KerasModel], float]
) -> tuple[Graph, dict[str, float]]:
    """Equalizes the channels between layers, for kernels with one step for all channels.

    Args:
        model: A fixed model with ranges fitted to the data, changed in place if its error is then smaller.
        floating: The network in floating point.
        inputs: Batches of inputs, to which ranges are fitted again.
        error_of: Function that computes the error of a model on held-out data.

    Returns:
        The network in floating point, with the weights of the model, and the errors of both models by name; no errors
        if every kernel has steps for its channels.
    """
    framework = framework_of(model)
    graph = framework.read(model)
    if not has_shared_steps(graph):
        return floating, {}
    even, even_floating = framework.write(equalized(graph)), equalized(floating)
    calibrate_ranges(even, framework.write(even_floating), lambda: inputs, least_squares=True)
    errors = {"ranges": error_of(model), EQUALIZED: error_of(even)}
    if errors[EQUALIZED] < errors["ranges"]:
        for variable, value in zip(model.variables, even.variables, strict=True):
            variable.assign(np.asarray(value))
        return even_floating, errors
    return floating, errors


def has_shared_steps(graph: Graph) -> bool:
    """Returns True if all channels of a kernel share a step that is kept as state."""
    states = [layer.weight.state for layer in graph.in_order() if not layer.weight.formats[0].is_float]
    return any(state and all(np.size(array) == 1 for array in state.values()) for state in states)
