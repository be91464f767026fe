"""Checks that data match the statistics of batch normalizations."""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.data.batches import batches
from tfmp.operators.batch_normalization import has_last_channels
from tfmp.transform.calibration.moment_correction import moment_reader

# In nats. Natural data of seven networks have 0.00 to 0.01; noise, inverted or rescaled images 0.2 to 10^5.
_LARGEST_DISTANCE = 0.25


def is_familiar(models: Iterable[KerasModel], data: Any) -> bool:
    """Returns whether data match the normalization statistics of one of several models; warns if not.

    Args:
        models: Models with the same inputs.
        data: As in `tfmp.data.batches.batches`.
    """
    distances = []
    for model in models:
        distances.append(statistics_distance(model, data))
        if distances[-1] <= _LARGEST_DISTANCE:
            return True
    warnings.warn(
        "The calibration data differ from those that the batch normalizations were trained on: their inputs are "
        f"{min(distances):.2g} nats from the moving statistics, at most {_LARGEST_DISTANCE} is expected. So the "
        "statistics are kept. Give inputs as the network will see them, preprocessed as in training. If they are, the "
        "moving statistics have not settled: train longer, or with a smaller momentum.",
        stacklevel=3,
    )
    return False


def statistics_distance(model: KerasModel, data: Any) -> float:
    """Returns the distance of the normalizations' inputs from their moving statistics, 0 without normalizations.

    For a channel, it is the Kullback-Leibler divergence of two Gaussians, N(mean, variance) of the data from that of
    the moving statistics, with epsilon in both variances. For a layer, it is the median of its channels, so that
    inactive channels do not matter; for the network, the mean of its layers.

    Returns:
        Float in nats.
    """
    framework = framework_of(model)
    graph = framework.read(model)
    tensors = {
        layer.name: [call.inputs[0] for call in graph.calls_of(layer.name)]
        for layer in graph.in_order()
        if layer.kind == "batch_normalization" and has_last_channels(graph, layer)
    }
    if not tensors:
        return 0.0
    moments_by_name = moment_reader(model, tensors, lambda: batches(data, graph=graph))()
    distances = [_distance(graph.layers[name], moments) for name, moments in moments_by_name.items()]
    return float(np.mean(distances))


def _distance(normalization, moments):
    mean, variance = (np.asarray(normalization.weights[f"moving_{name}"], np.float64) for name in ("mean", "variance"))
    epsilon = normalization.attributes["epsilon"]
    quotient = (moments.variance + epsilon) / (variance + epsilon)
    shift = np.square(moments.mean - mean) / (variance + epsilon)
    return np.median((quotient - 1 - np.log(quotient) + shift) / 2)
