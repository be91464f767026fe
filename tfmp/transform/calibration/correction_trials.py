"""Compares corrections of means, variances and normalizations by the error on held-out data."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.graph import Graph
from tfmp.mixins.restoring import restoring
from tfmp.transform.calibration.calibrate import reestimate_normalization
from tfmp.transform.calibration.moment_correction import STATISTICS, MomentCorrection
from tfmp.transform.edits.split_layers import with_separate_activations

_REESTIMATED = "normalization"


class CorrectionTrials:
    """A network with separate activation layers, and the states of its corrections that are compared.

    Args:
        model: A fixed model with ranges fitted to the data.
        floating: The network in floating point.
        inputs: Batches of its inputs.

    Attributes:
        model: The network in its current state.
        inputs: The batches.
        errors: The error of each state, by name.
        corrected: The layers whose moments are corrected, by state.
        kept_channels: Number of channels that keep their statistics, by normalization.
    """

    def __init__(self, model: KerasModel, floating: Graph, inputs: Sequence[Any]):
        self._framework = framework_of(model)
        self._graph = with_separate_activations(self._framework.read(model))
        self._floating_graph = with_separate_activations(floating)
        self.model = self._framework.write(self._graph)
        self._floating = self._framework.write(self._floating_graph)
        self.inputs = inputs
        self._layers = {layer.name: self._framework.layer(self.model, layer.name) for layer in self._graph.in_order()}
        self._variables = {
            (layer.name, path): getattr(self._layers[layer.name], path)
            for layer in self._graph.in_order()
            for path in (("bias",) if layer.shape is not None else STATISTICS)
            if path in layer.weights
        }
        self._constant_channels: dict[str, int] = {}
        self.errors: dict[str, float] = {}
        self.corrected: dict[str, tuple[str, ...]] = {}
        self.kept_channels: dict[str, dict[str, int]] = {}
        self._states: dict[str, dict[tuple[str, str], np.ndarray]] = {}

    def run(
        self, error: Callable[[], float], *, start: str = "ranges", correct: bool = True, reestimate: bool = True
    ) -> str:
        """Compares states and returns the name of that with the smallest error, which the model is then in.

        Args:
            error: Function that computes the error of `model` on held-out data.
            start: Name of the state that the model is in.
            correct: False to measure only this state.
            reestimate: False to keep the statistics of normalizations.
        """
        if correct:
            correction = MomentCorrection(self._graph, self.model, self._floating, lambda: self.inputs)
            self._run(start, error, correction)
            if reestimate and any(path in STATISTICS for _, path in self._variables):
                self._reestimate()
                correction.floating_changed()
                self._run(f"{start}, {_REESTIMATED}", error, correction)
        else:
            self._record(start, error())
        taken = min(self.errors, key=lambda name: self.errors[name])  # of equal errors the first, which changes least
        self._assign(self._states[taken])
        return taken

    def floating_model(self, name: str) -> KerasModel:
        """Returns the network in floating point to which the moments of a state are corrected."""
        model = self._framework.write(self._floating_graph)
        if _REESTIMATED in name.split(", "):
            reestimate_normalization(model, lambda: self.inputs)
        return model

    def write_to(self, model: KerasModel) -> None:
        """Writes the variables of the current state to a model of the same layers."""
        for name, layer in self._layers.items():
            variables = self._framework.variables_by_path(layer)
            if variables:
                written = self._framework.variables_by_path(self._framework.layer(model, name))
                # Keras numbers the states of random generators, so that they have other paths in another model.
                for path in variables.keys() & written.keys():
                    written[path].assign(np.asarray(variables[path]))

    def _reestimate(self):
        """Re-estimates the normalizations of both networks, starting from their initial state."""
        self._assign(next(iter(self._states.values())))
        selectors = [getattr(layer, "activation_selector", None) for layer in self._layers.values()]
        with restoring(variable for selector in selectors if selector is not None for variable in selector.variables):
            self._constant_channels = reestimate_normalization(self.model, lambda: self.inputs)
        reestimate_normalization(self._floating, lambda: self.inputs)

    def _run(self, name, error, correction):
        """Measures the current state under a name; then with the moments of all layers corrected, and of some."""
        self._record(name, error())
        if not correction.carriers:
            return
        moments = correction.in_order()
        for carrier in correction.carriers:
            correction.correct(carrier, moments.of(carrier))
        self._record(f"{name}, moments", error(), correction.carriers, correction.kept_channels)
        self._assign(self._states[name])
        smallest, corrected = self.errors[name], []
        moments = correction.in_order()
        for carrier in correction.carriers:
            before = correction.values(carrier)
            correction.correct(carrier, moments.of(carrier))
            new_error = error()
            if new_error < smallest:
                smallest = new_error
                corrected.append(carrier)
            else:
                correction.assign(carrier, before)
        self._record(f"{name}, some moments", smallest, corrected, correction.kept_channels)

    def _record(self, name, error, corrected=(), constant_channels=None):
        counts = {**self._constant_channels, **{layer: (constant_channels or {}).get(layer, 0) for layer in corrected}}
        self.errors[name], self.corrected[name] = error, tuple(corrected)
        self.kept_channels[name] = {layer: count for layer, count in counts.items() if count}
        self._states[name] = {key: np.asarray(variable) for key, variable in self._variables.items()}

    def _assign(self, state):
        for key, value in state.items():
            self._variables[key].assign(value)
