"""Sensitivities by the output error: each candidate of each tensor is tried alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfmp import quantizers
from tfmp.assign.finest_network import FinestNetwork
from tfmp.graph import Layer
from tfmp.transform.calibration.moment_correction import MomentCorrection
from tfmp.transform.calibration.output_error import MeanLoss

_CERTAIN = 1e4  # a logit so large that the softmax of all others is exactly zero


class OutputScores:
    """Evaluates a network with one tensor at a time at one of its candidates.

    The layer's output is corrected to its mean and variance, as `tfmp.fix(..., post_training=True)` does. A score is
    the error of the network's output, less that with all tensors at 8 bits; so that of 8 bits is zero.

    Args:
        network: The network, with calibrated ranges.
        loss: The error, from `read_samples`.
        samples: The samples, from `read_samples`.

    Attributes:
        eight_bit_error: The error with all tensors at 8 bits, less that of the float network; at least 0.
    """

    def __init__(
        self, network: FinestNetwork, loss: Callable[..., Any], samples: Sequence[tuple[Any, tuple[Any, ...]]]
    ):
        inputs = [each for each, _ in samples]
        self._selectors = network.selectors
        for selector in (selector for pair in self._selectors.values() for selector in pair):
            _choose(selector, -1)
        self._correction = MomentCorrection(network.graph, network.model, network.floating, lambda: inputs)
        moments = self._correction.in_order()
        for carrier in self._correction.carriers:
            self._correction.correct(carrier, moments.of(carrier))
        self._moments = self._correction.in_order()
        self._loss = MeanLoss(network.model, loss, samples)
        self._finest = self._loss()
        self.eight_bit_error = max(self._finest - MeanLoss(network.floating, loss, samples)(), 0.0)

    def of(self, layer: Layer) -> tuple[np.ndarray, np.ndarray]:
        """Returns the scores of the candidates of a layer's kernel and input; zero for a tensor without a choice.

        Layers must be asked for in the order of the network.
        """
        scores = []
        for selector, candidates in zip(self._selectors[layer.name], (layer.weight, layer.activation), strict=True):
            values = np.zeros(len(candidates.bits))
            if len(candidates.bits) > 1:
                for index, bits in enumerate(candidates.bits):
                    if bits != quantizers.MAX_BITS:
                        values[index] = self._loss_at(layer.name, selector, bits) - self._finest
                _choose(selector, -1)
            scores.append(values)
        return scores[0], scores[1]

    def _loss_at(self, name, selector, bits):
        _choose(selector, selector.bits.index(bits))
        carrier = self._correction.carrier(name)
        if carrier is None:
            return self._loss()
        before = self._correction.values(carrier)
        self._correction.correct(carrier, self._moments.of(carrier, changed=name))
        value = self._loss()
        self._correction.assign(carrier, before)
        return value


def _choose(selector, index):
    if selector is not None and selector.logits is not None:
        logits = np.zeros(len(selector.bits), np.float32)
        logits[index] = _CERTAIN
        selector.logits.assign(logits)
