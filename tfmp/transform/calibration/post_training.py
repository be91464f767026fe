"""Post-training quantization: chooses corrections by the error on held-out data."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.data.batches import num_samples
from tfmp.data.structure import map_leaves
from tfmp.graph import Graph
from tfmp.mixins.restoring import restoring
from tfmp.reports import PostTrainingReport
from tfmp.transform.calibration.calibrate import calibrate_ranges, reestimate_normalization
from tfmp.transform.calibration.moment_correction import STATISTICS, MomentCorrection
from tfmp.transform.calibration.output_error import MeanLoss, read_samples
from tfmp.transform.edits.split_layers import with_separate_activations

_HELD_OUT = 4  # one of this many samples is held out


def quantize_after_training(
    model: KerasModel, floating: Graph, data: Any, *, loss: Callable[..., Any] | None = None, reestimate: bool = True
) -> PostTrainingReport:
    """Fits a fixed network to data, for use without training.

    Every quantizer gets the range of least squared error at its bits. Then six networks are compared: with these ranges
    only; with the moments of all layers corrected, in the order of the network; with only those corrections that reduce
    the error; and these three again with re-estimated normalizations. A quarter of the samples is held out, and the
    network with the smallest error on them is chosen.

    Args:
        model: A fixed model with the weights of the float network, changed in place.
        floating: The model of the float network.
        data: As in `tfmp.data.batches.batches`; with `loss`, inputs and targets, as in `labelled_batches`.
        loss: The error, as in `tfmp.transform.calibration.output_error.read_samples`. None for the divergence of the
            output from that in floating point.
        reestimate: False to keep the statistics of normalizations.
    """
    framework = framework_of(model)
    floating_model = framework.write(floating)
    loss_function, samples = read_samples(floating, floating_model, data, loss=loss, name="`calibration`")
    calibrate_ranges(model, floating_model, lambda: [inputs for inputs, _ in samples], least_squares=True)
    fitted, held_out = _split(samples)
    trials = _Trials(model, floating, [inputs for inputs, _ in fitted])
    error = MeanLoss(trials.model, loss_function, held_out)
    trials.run("ranges", error)
    if reestimate and trials.has_normalizations:
        trials.reestimate()
        trials.run("ranges, normalization", error)
    taken = min(trials.errors, key=trials.errors.get)  # of equal errors the first, which changes least
    trials.write_to(model, taken)
    return PostTrainingReport(
        "divergence from the output in floating point" if loss is None else "loss",
        trials.errors,
        taken,
        corrected=trials.corrected[taken],
        kept_channels=trials.kept_channels[taken],
        num_samples=sum(num_samples(inputs) for inputs, _ in samples),
        num_held_out=sum(num_samples(inputs) for inputs, _ in held_out),
    )


class _Trials:
    """A network with separate activation layers, and the states that are compared.

    Attributes:
        model: The network in its current state.
        errors: The error of each state, by name.
        corrected: The layers whose moments are corrected, by state.
        kept_channels: Number of channels that keep their statistics, by normalization.
    """

    def __init__(self, model, floating, inputs):
        framework = framework_of(model)
        self._graph, floating = with_separate_activations(framework.read(model)), with_separate_activations(floating)
        self.model, self._floating = framework.write(self._graph), framework.write(floating)
        self._inputs = inputs
        self._layers = {layer.name: framework.layer(self.model, layer.name) for layer in self._graph.in_order()}
        self._variables = {
            (layer.name, path): getattr(self._layers[layer.name], path)
            for layer in self._graph.in_order()
            for path in (("bias",) if layer.shape is not None else STATISTICS)
            if path in layer.weights
        }
        self._constant_channels = {}
        self.errors, self.corrected, self.kept_channels, self._states = {}, {}, {}, {}

    @property
    def has_normalizations(self):
        return any(path in STATISTICS for _, path in self._variables)

    def reestimate(self):
        """Re-estimates the normalizations of both networks, starting from their initial state."""
        self._assign(next(iter(self._states.values())))
        selectors = [getattr(layer, "activation_selector", None) for layer in self._layers.values()]
        with restoring(variable for selector in selectors if selector is not None for variable in selector.variables):
            self._constant_channels = reestimate_normalization(self.model, lambda: self._inputs)
        reestimate_normalization(self._floating, lambda: self._inputs)

    def run(self, name, error):
        """Measures the current state under a name; then with the moments of all layers corrected, and of some."""
        self._record(name, error())
        correction = MomentCorrection(self._graph, self.model, self._floating, lambda: self._inputs)
        if not correction.carriers:
            return
        for carrier in correction.carriers:
            correction.correct(carrier)
        self._record(f"{name}, moments", error(), correction.carriers, correction.kept_channels)
        self._assign(self._states[name])
        smallest, corrected = self.errors[name], []
        for carrier in correction.carriers:
            before = correction.values(carrier)
            correction.correct(carrier)
            new_error = error()
            if new_error < smallest:
                smallest = new_error
                corrected.append(carrier)
            else:
                correction.assign(carrier, before)
        self._record(f"{name}, some moments", smallest, corrected, correction.kept_channels)

    def write_to(self, model, name):
        """Writes the statistics and biases of a state to a model of the same layers."""
        framework = framework_of(model)
        for (layer, path), value in self._states[name].items():
            getattr(framework.layer(model, layer), path).assign(value)

    def _record(self, name, error, corrected=(), constant_channels=None):
        counts = {**self._constant_channels, **{layer: (constant_channels or {}).get(layer, 0) for layer in corrected}}
        self.errors[name], self.corrected[name] = error, tuple(corrected)
        self.kept_channels[name] = {layer: count for layer, count in counts.items() if count}
        self._states[name] = {key: np.asarray(variable) for key, variable in self._variables.items()}

    def _assign(self, state):
        for key, value in state.items():
            self._variables[key].assign(value)


def _split(samples):
    """Splits batches into most samples and every fourth; with fewer than four samples, both are the same."""
    parts, start = ([], []), 0
    for pair in samples:
        is_held_out = (np.arange(start, start + num_samples(pair)) + 1) % _HELD_OUT == 0
        start += len(is_held_out)
        for part, chosen in zip(parts, (~is_held_out, is_held_out), strict=True):
            if chosen.any():
                part.append(map_leaves(lambda array: np.asarray(array)[chosen], pair))  # noqa: B023 (used at once)
    return parts if parts[1] else (samples, samples)
