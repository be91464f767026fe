"""Metrics of a search's choices that are logged."""

import numpy as np
import tensorflow as tf


def selection_entropy(probabilities) -> float:
    """Mean entropy of the open choices, in units of that of equal chances.

    Args:
        probabilities: Layer name to the arrays of its weight and activation probabilities.
    """
    entropies = [
        float(-(p * np.log(np.maximum(p, 1e-12))).sum() / np.log(len(p)))
        for pair in probabilities.values()
        for p in pair
        if len(p) > 1
    ]
    return float(np.mean(entropies))


def mixture_variance(layers) -> float:
    """Mean relative variance of the mixtures of some layers: kernels now, activations on the last training batch."""
    variances = []
    for layer in layers:
        if layer.weight_selector is not None and len(layer.weight_selector.bits) > 1:
            variances.append(float(layer.weight_selector.relative_variance(layer.kernels())))
        if layer.activation_selector is not None and len(layer.activation_selector.bits) > 1:
            variances.append(float(tf.convert_to_tensor(layer.activation_selector.mixture_variance)))
    return float(np.mean(variances))
