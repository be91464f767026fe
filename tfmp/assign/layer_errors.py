"""The error of one layer's output at each candidate of its kernel and input, seen along gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.assign.finest_network import FinestNetwork
from tfmp.graph import Layer
from tfmp.operators.batch_normalization import fusable_normalization

_SMALLEST_SHARE = 1e-3  # of the variance of a channel in floating point: less is not scaled up


class LayerErrors:
    """Adds up the second-order harm of one layer's candidates over batches.

    With y the layer's output in floating point and e its error at a candidate, the corrected error is
    a e + (a - 1) y + b, channel by channel. `tfmp.fix(..., post_training=True)` chooses a and b such that mean and
    variance stay those of y if a normalization follows, and the mean if the layer has a bias. Both are known only after
    the last batch; the products of gradients with e, y and 1 are kept until then.

    Args:
        network: The network, with calibrated ranges.
        layer: The layer, with its candidates.

    Attributes:
        name: The layer.
    """

    def __init__(self, network: FinestNetwork, layer: Layer):
        self.name, self._layer = layer.name, layer
        self._built = network.framework.layer(network.model, layer.name)
        self._selectors = self._built.weight_selector, self._built.activation_selector
        self._channel_axis = 1 if layer.attributes.get("data_format") == "channels_first" else -1
        normalizations = [fusable_normalization(network.graph, call) for call in network.graph.calls_of(layer.name)]
        self._keeps_variance = all(normalization is not None for normalization in normalizations)
        self._keeps_mean = self._keeps_variance or "bias" in layer.weights
        self._rows: list[np.ndarray] = []
        self._moments: Any = 0.0

    def projected(
        self, sources: Sequence[tf.Tensor], gradients: Sequence[Sequence[tf.Tensor]]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns projections and moments of one batch, which `add` takes.

        Args:
            sources: The layer's input in each of its calls.
            gradients: The gradients at its output in each call, for each direction.

        Returns:
            `[2 + errors, directions, samples, channels]`: the products of the gradients with 1, y and the error of each
            candidate, summed over the places; and `[2 + errors, 3, channels]`: the sums of each of these, of its square
            and of its product with y.
        """
        kernel = tf.cast(tf.convert_to_tensor(self._built.kernel), tf.float32)
        projections, moments = [], []
        for source, *at_output in zip(sources, *gradients, strict=True):
            source = tf.cast(source, tf.float32)
            output = self._last_channels(self._built.operation(source, kernel))
            errors = [self._built.operation(source, error) for error in self._rounding(0, kernel)]
            errors += [self._built.operation(error, kernel) for error in self._rounding(1, source)]
            terms = [tf.ones_like(output), output, *map(self._last_channels, errors)]
            directions = [self._last_channels(tf.cast(each, tf.float32)) for each in at_output]
            projections.append(tf.stack([_products(term, directions) for term in terms]))
            moments.append(tf.stack([_sums(term, output) for term in terms]))
        return tf.add_n(projections), tf.add_n(moments)

    def _rounding(self, position, values):
        """Returns Q_b(x) - x of each candidate of the kernel (0) or the input (1), the finest last; none without."""
        selector = self._selectors[position]
        if selector is None or len(selector.bits) == 1:
            return []
        return [tf.cast(value, values.dtype) - values for value in selector(values, training=False, separate=True)]

    def _last_channels(self, tensor):
        """Returns `[samples, places, channels]`."""
        if self._channel_axis == 1:
            tensor = tf.transpose(tensor, [0, *range(2, tensor.shape.rank), 1])
        return tf.reshape(tensor, [tf.shape(tensor)[0], -1, tensor.shape[-1]])

    def add(self, parts: tuple[tf.Tensor, tf.Tensor]) -> None:
        """Adds one batch, from `projected`."""
        self._rows.append(np.asarray(parts[0], np.float64))
        self._moments = self._moments + np.asarray(parts[1])

    def scores(self) -> tuple[tuple[np.ndarray, np.ndarray], float]:
        """Returns the mean harm of the candidates of kernel and input, less that of the finest, which comes last."""
        projections = np.concatenate(self._rows, axis=2)
        harms = [self._harm(projections, index) for index in range(2, len(projections))]
        scores, finest, start = [], 0.0, 0
        for selector, candidates in zip(self._selectors, (self._layer.weight, self._layer.activation), strict=True):
            if len(candidates.bits) == 1:
                scores.append(np.zeros(1))
                continue
            of_tensor = harms[start : start + len(selector.bits)]
            start += len(selector.bits)
            finest += of_tensor[-1]
            scores.append(np.array([of_tensor[selector.bits.index(b)] - of_tensor[-1] for b in candidates.bits]))
        return (scores[0], scores[1]), float(finest)

    def _harm(self, projections, index):
        scale, shift = self._correction(index)
        corrected = scale * projections[index] + (scale - 1) * projections[1] + shift * projections[0]
        return np.mean(np.square(corrected.sum(axis=-1))) / 2

    def _correction(self, index):
        """Returns a and b of each channel for the error of one candidate."""
        count = self._moments[0, 0]
        mean_error, mean = self._moments[index, 0] / count, self._moments[1, 0] / count
        scale = np.ones_like(mean)
        if self._keeps_variance:
            variance = self._moments[1, 1] / count - mean**2
            covariance = self._moments[index, 2] / count - mean * mean_error
            changed = variance + 2 * covariance + self._moments[index, 1] / count - mean_error**2
            is_usable = (changed > _SMALLEST_SHARE * variance) & (variance > 0)
            scale = np.where(is_usable, np.sqrt(variance / np.where(is_usable, changed, 1)), 1.0)
        shift = mean - scale * (mean + mean_error) if self._keeps_mean else np.zeros_like(mean)
        return scale, shift


def _products(term, directions):
    """Returns `[directions, samples, channels]`, summed over places; `tf.einsum` takes about three times as long."""
    return tf.stack([tf.reduce_sum(term * direction, axis=1) for direction in directions])


def _sums(term, output):
    """Returns the sums over samples and places of a term, of its square and of its product with the output."""
    sums = [tf.reduce_sum(values, axis=[0, 1]) for values in (term, tf.square(term), term * output)]
    return tf.cast(tf.stack(sums), tf.float64)
