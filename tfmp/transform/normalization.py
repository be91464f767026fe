"""Batch normalization behind a layer with a kernel."""

import dataclasses

import numpy as np

from tfmp.types import Graph, Layer


def fusable_normalization(graph: Graph, call) -> Layer | None:
    """Returns the normalization that alone reads a multiplying layer's output and can be folded into it, or None."""
    layer = graph.layer_of(call)
    if layer.shape is None or layer.attributes.get("activation", "linear") != "linear":
        return None
    output = call.outputs[0]
    readers = graph.readers(output)
    if len(readers) != 1 or output in graph.output_names:
        return None
    normalization = graph.layer_of(readers[0])
    rank = len(graph.tensors[output].shape)
    once = all(sum(c.layer == name for c in graph.calls) == 1 for name in (layer.name, normalization.name))
    if normalization.kind != "batch_normalization" or not once or channel_axis(normalization) not in (-1, rank - 1):
        return None
    return normalization


def channel_axis(normalization: Layer) -> int:
    """The axis that a batch normalization keeps."""
    axis = normalization.attributes["axis"]
    return axis[0] if isinstance(axis, list | tuple) else axis


def with_positive_gammas(graph: Graph) -> Graph:
    """Flips the filters whose normalization has a negative gamma, and keeps gammas non-negative from then on.

    Codes of b bits reach one level further below zero than above, so that folding a negative gamma into them would not
    be exact. Negating filter, bias, moving mean and gamma together changes nothing that the network computes.
    """
    changed = {}
    for call in graph.calls:
        normalization = fusable_normalization(graph, call)
        if normalization is None or "gamma" not in normalization.weights:
            continue
        if normalization.config["config"].get("gamma_constraint") is not None:
            continue  # the user's own constraint stays
        layer = graph.layer_of(call)
        sign = np.where(normalization.weights["gamma"] < 0, -1.0, 1.0).astype(np.float32)
        kernel = layer.weights["kernel"]
        last = kernel.shape[-2:] if layer.kind == "depthwise_conv2d" else kernel.shape[-1:]
        weights = {**layer.weights, "kernel": kernel * sign.reshape(last)}
        if "bias" in weights:
            weights["bias"] = weights["bias"] * sign
        changed[layer.name] = dataclasses.replace(layer, weights=weights)
        config = {**normalization.config["config"], "gamma_constraint": "non_neg"}
        changed[normalization.name] = dataclasses.replace(
            normalization,
            config={**normalization.config, "config": config},
            weights={
                **normalization.weights,
                "gamma": normalization.weights["gamma"] * sign,
                "moving_mean": normalization.weights["moving_mean"] * sign,
            },
        )
    return graph.replace_layers(changed)
