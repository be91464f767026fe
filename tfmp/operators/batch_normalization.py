"""Batch normalization after a layer with a kernel."""

import dataclasses

import numpy as np

from tfmp.graph import Call, Graph, Layer
from tfmp.operators.operator_table import kernel_of


def fusable_normalization(graph: Graph, call: Call) -> Layer | None:
    """Returns the normalization that can be folded into the layer with a kernel before it, or None."""
    layer = graph.layer_of(call)
    if layer.shape is None or layer.attributes.get("activation", "linear") != "linear":
        return None
    # If a shared block is called several times, the normalization must follow every call.
    outputs = [other.outputs[0] for other in graph.calls_of(layer.name)]
    readers = [graph.readers(output) for output in outputs]
    if any(len(calls) != 1 for calls in readers) or any(output in graph.output_names for output in outputs):
        return None
    normalization = graph.layer_of(readers[0][0])
    num_calls = [sum(calls[0].layer == normalization.name for calls in readers)]
    num_calls += [len(graph.calls_of(name)) for name in (layer.name, normalization.name)]
    if normalization.kind != "batch_normalization" or not has_last_channels(graph, normalization):
        return None
    return normalization if len(set(num_calls)) == 1 else None


def channel_axis(normalization: Layer) -> int:
    """Returns the axis over which a batch normalization does not average."""
    axis = normalization.attributes["axis"]
    return axis[0] if isinstance(axis, list | tuple) else axis


def has_last_channels(graph: Graph, normalization: Layer) -> bool:
    """Returns True if a batch normalization has one mean and variance for each channel of the last axis."""
    shapes = [graph.tensors[call.inputs[0]].shape for call in graph.calls_of(normalization.name)]
    return all(channel_axis(normalization) in (-1, len(shape) - 1) for shape in shapes)


def with_positive_gammas(graph: Graph) -> Graph:
    """Flips the filters whose normalization has a negative gamma, and keeps gammas non-negative from then on.

    Codes of b bits have one more level below zero than above, so folding a negative gamma into them would not be exact.
    Negating filter, bias, moving mean and gamma together does not change what the network computes.
    """
    changed = {}
    for call in graph.calls:
        normalization = fusable_normalization(graph, call)
        if normalization is None or "gamma" not in normalization.weights:
            continue
        if normalization.origin.config.get("gamma_constraint") is not None:
            continue  # keep the user's own constraint
        layer = graph.layer_of(call)
        sign = np.where(normalization.weights["gamma"] < 0, -1.0, 1.0).astype(np.float32)
        kernel = layer.weights["kernel"]
        along_kernel = kernel_of(layer).along_channels(sign, kernel.shape)
        weights = {**layer.weights, "kernel": kernel * along_kernel}
        if "bias" in weights:
            weights["bias"] = weights["bias"] * sign
        changed[layer.name] = dataclasses.replace(layer, weights=weights)
        changed[normalization.name] = dataclasses.replace(
            normalization,
            origin=normalization.origin.replace_config(gamma_constraint="non_neg"),
            weights={
                **normalization.weights,
                "gamma": normalization.weights["gamma"] * sign,
                "moving_mean": normalization.weights["moving_mean"] * sign,
            },
        )
    return graph.replace_layers(changed)
