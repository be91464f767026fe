"""Reads the probabilities of all layers, and writes their prices, in one call each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasLayer


class SearchedChoices:
    """The choices of a relaxed model's layers: probabilities to read and prices to write at every training step.

    Both are traced, because hundreds of single reads and writes take as long as a part of the step.

    Args:
        layers: The layers whose bits are open, by name.
    """

    def __init__(self, layers: Mapping[str, KerasLayer]):
        self._layers = dict(layers)
        self._selectors = [
            (name, selector)
            for name, layer in self._layers.items()
            for selector in (layer.weight_selector, layer.activation_selector)
        ]
        sizes = [1 if selector is None else len(selector.bits) for _, selector in self._selectors]
        self._ends = np.cumsum(sizes)[:-1]
        self._shapes = list(zip(sizes[::2], sizes[1::2], strict=True))
        self._read = tf.function(self._all_probabilities, autograph=False)
        prices = [tf.TensorSpec([sum(weights * activations for weights, activations in self._shapes)])]
        self._write = tf.function(self._assign, autograph=False, input_signature=prices)

    def probabilities(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Returns the weight and activation probabilities by layer name, as arrays of float64."""
        values = np.split(self._read().numpy().astype(np.float64), self._ends)
        return dict(zip(self._layers, zip(values[::2], values[1::2], strict=True), strict=True))

    def _all_probabilities(self):
        return tf.concat(
            [tf.ones(1) if selector is None else selector.probabilities() for _, selector in self._selectors], axis=0
        )

    def set_prices(self, prices: Mapping[str, np.ndarray]) -> None:
        """Sets the prices of all layers, `[W, A]` arrays by layer name in units of the loss."""
        self._write(np.concatenate([np.ravel(prices[name]) for name in self._layers]).astype(np.float32))

    def _assign(self, prices: Any) -> None:
        parts = tf.split(prices, [weights * activations for weights, activations in self._shapes])
        for layer, part, shape in zip(self._layers.values(), parts, self._shapes, strict=True):
            layer.selection_cost.price.assign(tf.reshape(part, shape))
