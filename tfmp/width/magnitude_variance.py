"""Callback that logs the variance of the mean kernel magnitude during training."""

import math

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.graph import LayerShape
from tfmp.operators import kernel_of
from tfmp.transform.edits.layer_plan import LayerSelection, matcher
from tfmp.width.dual_precision_model import is_depthwise


class MagnitudeVariance:
    """Records mean|w| of each output filter over training steps, and computes its variance.

    A filter of few weights, such as a depthwise one, has a noisy mean magnitude, and the codes of all its weights
    depend on it. Call `update` after each step:

        record = tfmp.width.MagnitudeVariance(model)
        update = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: record.update())
        model.fit(..., callbacks=[update])
        record.result()

    Args:
        model: A built Sequential or functional Keras model, in floating point or quantized.
        layers: The layers to record: a name, a pattern such as `"*_depthwise"`, a function of a `tfmp.graph.Layer`, or
            a list of these; None for the depthwise convolutions.

    Raises:
        ValueError: If the model has no such layer with a kernel.

    Reference: DualPrecision, fig. 4 and proposition 5.1
    """

    def __init__(self, model: KerasModel, *, layers: LayerSelection = None):
        framework = framework_of(model)
        multiplying = [layer for layer in framework.read(model, weights=False).in_order() if layer.shape]
        matches = matcher(
            (lambda layer: is_depthwise(layer.require_shape())) if layers is None else layers, multiplying, "layers"
        )
        recorded = [layer for layer in multiplying if matches(layer)]
        if not recorded:
            wanted = "depthwise convolution" if layers is None else "layer that `layers` takes"
            raise ValueError(f'Model `{model.name}` has no {wanted}. `layers="*"` records all kernels.')
        self._kernels = {layer.name: (framework.layer(model, layer.name), layer.require_shape()) for layer in recorded}
        self.clear()

    def clear(self) -> None:
        """Removes all recorded steps."""
        self._count = 0
        self._means: dict[str, np.ndarray] = {}
        self._squares: dict[str, np.ndarray] = {}

    def update(self) -> None:
        """Records the current kernels as one step."""
        self._count += 1
        for name, (layer, shape) in self._kernels.items():
            value = mean_magnitudes(np.asarray(_kernel(layer), np.float64), shape)
            before = self._means.get(name, np.zeros_like(value))
            self._means[name] = before + (value - before) / self._count
            squares = self._squares.get(name, np.zeros_like(value))
            self._squares[name] = squares + (value - before) * (value - self._means[name])

    def result(self) -> dict[str, float]:
        """Returns, per layer name, the sample variance of mean|w| over the steps, averaged over the layer's filters.

        Raises:
            ValueError: If there were fewer than two steps.
        """
        if self._count < 2:
            raise ValueError(f"A variance needs two steps or more. Received: {self._count}")
        return {name: float(np.mean(squares) / (self._count - 1)) for name, squares in self._squares.items()}


def mean_magnitudes(kernel: np.ndarray, shape: LayerShape) -> np.ndarray:
    """Returns mean|w| of each output filter, `[out_channels]`.

    Args:
        kernel: Array in the layout of either Keras.
        shape: The layer's `LayerShape`.
    """
    return kernel_of(shape).by_channel(np.abs(kernel)).mean(0)


def _kernel(layer):
    return layer.depthwise_kernel if hasattr(layer, "depthwise_kernel") else layer.kernel  # tf_keras, in floating point


def proposition_variance(num_weights: int, deviation: float, mean_product: float = 2 / math.pi) -> float:
    """Returns the variance of mean|w| over Gaussian weights of zero mean, by proposition 5.1.

    sigma**2 / d + (d - 1) / d * rho * sigma**2 - 2 sigma**2 / pi

    Args:
        num_weights: d, the number of weights of a filter.
        deviation: sigma.
        mean_product: rho: the mean of E[|w_i| |w_j|] / sigma**2 over pairs of different weights. The paper calls it
            their average correlation; with that, independent weights would have a negative variance. For two Gaussians
            of correlation r it is 2 / pi * (sqrt(1 - r**2) + r asin(r)), and 2 / pi for independent ones.
    """
    d, variance = num_weights, deviation**2
    return variance / d + (d - 1) / d * mean_product * variance - 2 * variance / math.pi
