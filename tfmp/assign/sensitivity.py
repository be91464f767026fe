"""Measures how the output error of a network grows when one tensor gets fewer bits."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from tfmp import quantizers
from tfmp.bindings.framework import framework_named
from tfmp.graph import Candidates, Graph
from tfmp.transform.calibration.calibrate import calibrate_ranges
from tfmp.transform.calibration.moment_correction import MomentCorrection
from tfmp.transform.calibration.output_error import MeanLoss, read_samples
from tfmp.transform.edits.floating_point import in_floating_point
from tfmp.transform.edits.split_layers import with_separate_activations

_CERTAIN = 1e4  # a logit so large that the softmax of all others is exactly zero


def measure_sensitivity(
    graph: Graph, data: Any, *, loss: Callable[..., Any] | None = None, divergence: str | None = None, verbose: int = 0
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Measures the sensitivity of every candidate of every searched tensor, with all others at their most bits.

    The network is rebuilt with 8 bits added to every tensor's candidates and, for each candidate, the range of least
    squared error on the data. One tensor at a time takes each of its candidates, with all others at their most bits.
    The layer's output is corrected to its mean and variance, as `tfmp.fix(..., post_training=True)` does. The
    sensitivity is the error of the network's output relative to that with all tensors at their most bits.

    Args:
        graph: A relaxed network with its weights.
        data: Inputs, as in `tfmp.data.batches.batches`, which are kept in memory; with `loss`, inputs and targets, as
            in `labelled_batches`.
        loss: Function of (targets, outputs), averaged over the samples, or of (targets, outputs, sample_weight) if the
            data have weights; None for the divergence of the output from that of the float network, which needs no
            targets.
        divergence: `"kl"` or `"squared_error"`; see `divergence_of`.
        verbose: 1 prints a line for each layer.

    Returns:
        Layer name to a pair of arrays, one entry per candidate of its kernel and of its input.
    """
    trials = _Trials(graph, data, loss, divergence)
    finest, sensitivities = trials.loss(), {}
    for layer in graph.searched:
        pair = (layer.weight, layer.activation)
        losses = trials.losses(layer.name, pair)
        weight, activation = (np.array(values) - finest if values else np.zeros(1) for values in losses)
        sensitivities[layer.name] = weight, activation
        if not all(np.isfinite(values).all() for values in sensitivities[layer.name]):
            raise ValueError(
                f"Layer `{layer.name}`: the output is not finite at some of its candidates, "
                f"{sensitivities[layer.name]}. Check that the network in floating point and the loss are finite on the "
                "data."
            )
        if verbose:
            print(f"{layer.name}: {'; '.join(map(_line, 'WA', pair, sensitivities[layer.name]))}", flush=True)
    return sensitivities


class _Trials:
    """Evaluates the network with one tensor at a time at one of its candidates."""

    def __init__(self, graph, data, loss, divergence):
        framework = framework_named(graph.framework)
        floating_graph = with_separate_activations(in_floating_point(graph))
        graph = with_separate_activations(_with_finest(graph))
        self._model, floating = framework.write(graph), framework.write(floating_graph)
        loss, samples = read_samples(graph, floating, data, loss=loss, divergence=divergence)
        inputs = [each for each, _ in samples]
        calibrate_ranges(self._model, floating, lambda: inputs, least_squares=True)
        self._selectors = {}
        for layer in graph.searched:
            built = framework.layer(self._model, layer.name)
            self._selectors[layer.name] = built.weight_selector, built.activation_selector
        for selector in (selector for pair in self._selectors.values() for selector in pair):
            _choose(selector, -1)
        self._correction = MomentCorrection(graph, self._model, floating, lambda: inputs)
        for carrier in self._correction.carriers:
            self._correction.correct(carrier)
        self.loss = MeanLoss(self._model, loss, samples)

    def losses(self, name, pair):
        """Returns the loss at each candidate of a layer's two tensors; nothing for a tensor without a choice."""
        losses = []
        for selector, selection in zip(self._selectors[name], pair, strict=True):
            open_bits = selection.bits if len(selection.bits) > 1 else ()
            losses.append([self._loss_at(name, selector, bits) for bits in open_bits])
            _choose(selector, -1)
        return losses

    def _loss_at(self, name, selector, bits):
        _choose(selector, selector.bits.index(bits))
        carrier = self._correction.carrier(name)
        if carrier is None:
            return self.loss()
        before = self._correction.values(carrier)
        self._correction.correct(carrier)
        value = self.loss()
        self._correction.assign(carrier, before)
        return value


def _with_finest(graph):
    """Returns the relaxed network with 8 bits among each tensor's candidates and a separate range for each."""
    changed = {}
    for layer in graph.searched:
        finest = layer.with_candidates(
            _with_8_bits(layer.weight),
            _with_8_bits(layer.activation),
            shared_range=False,
            relaxation="gumbel",
            shared_weights=True,  # one tensor at a time, with one kernel
            coupled=False,
        )
        changed[layer.name] = dataclasses.replace(finest, coupled=False, price=None)
    return graph.replace_layers(changed)


def _with_8_bits(candidates):
    if len(candidates.formats) == 1:
        return candidates
    bits = sorted({*candidates.bits, quantizers.MAX_BITS})
    return Candidates.of([quantizers.get(candidates.quantizer, bits=b, signed=candidates.signed) for b in bits])


def _choose(selector, index):
    if selector is not None and selector.logits is not None:
        logits = np.zeros(len(selector.bits), np.float32)
        logits[index] = _CERTAIN
        selector.logits.assign(logits)


def _line(letter, selection, values):
    return f"{letter} " + " ".join(f"{bits}: {value:.3g}" for bits, value in zip(selection.bits, values, strict=True))
