"""Freezes choices whose probability has passed a threshold."""

from typing import Any

import numpy as np

from tfmp.checks import check_number
from tfmp.search.assignment import best_within


class DecidedChoices:
    """Freezes the logits of a tensor once one candidate is probable enough.

    A choice is decided after the step in which the probability of its most probable candidate exceeds the threshold,
    unless no assignment with all decided choices would be within the budget. If several exceed it in the same step, the
    most probable one is first. After every later step, its logits are reset to their values at that time; the
    candidates remain mixed with these weights.

    Args:
        threshold: Probability from 0.5 to 1, both excluded; None decides nothing by probability.

    Raises:
        ValueError: If the threshold is out of range.
    """

    def __init__(self, threshold: float | None):
        self.threshold = threshold
        if threshold is not None:
            self.threshold = check_number("freeze_above", threshold, above=0.5, below=1, hint="It is a probability")
        self._choices: dict[Any, Any] = {}
        self._held: dict[Any, Any] = {}
        self._refused: set[Any] = set()

    def __len__(self):
        return len(self._held)

    def prepare(self, layers: Any, penalties: Any) -> None:
        """Sets the model to search; nothing is decided.

        Args:
            layers: The layers, by name.
            penalties: The `tfmp.search.lagrangian.Penalty`s of the search.
        """
        bounded = [penalty for penalty in penalties if penalty.limit is not None]
        self._priced, self._limits = [p.priced for p in bounded], [p.limit for p in bounded]
        self._choices, self._held, self._refused = {}, {}, set()
        seen = set()
        for name, layer in layers.items():
            for axis, selector in enumerate((layer.weight_selector, layer.activation_selector)):
                # The two tensors of a layer can share a choice.
                if selector is not None and selector.logits is not None and id(selector.logits) not in seen:
                    seen.add(id(selector.logits))
                    self._choices[name, axis] = selector.logits

    def step(self, probabilities):
        """Resets the logits of decided choices, and decides those above the threshold.

        Args:
            probabilities: Weight and activation probabilities by layer name.

        Returns:
            True if logits were written.
        """
        held = list(self._held)
        for key in held:
            self._choices[key].assign(self._held_logits(key))
        if self.threshold is None:
            return bool(held)
        certain = {
            key: int(np.argmax(probabilities[key[0]][key[1]]))
            for key in self._choices
            if key not in self._held and probabilities[key[0]][key[1]].max() > self.threshold
        }
        for key in sorted(certain, key=lambda key: -probabilities[key[0]][key[1]].max()):
            self._decide(key, certain[key])
        return bool(held)

    def _held_logits(self, key):
        """Returns the logits to which a decided choice is reset."""
        return self._held[key][1]

    def _decide(self, key, index):
        attempt = key, index, len(self._held)  # with the same decided choices it would be refused again
        if attempt in self._refused:
            return
        indices = {**{key: index for key, (index, _) in self._held.items()}, key: index}
        if self._can_be_met(indices):
            self._held[key] = index, np.asarray(self._choices[key].numpy(), np.float32)
        else:
            self._refused.add(attempt)

    def _can_be_met(self, indices):
        """Returns True if an assignment with these candidates can be within all budgets."""
        if not self._priced:
            return True
        graph, values = self._priced[0].graph, {}
        for name in self._priced[0].names:
            layer = graph.layers[name]
            values[name] = np.zeros((len(layer.weight.bits), len(layer.activation.bits)))
        for (name, axis), index in indices.items():
            np.moveaxis(values[name], axis, 0)[index] += 1
        bits = best_within(self._priced, self._limits, values)
        return all(
            bits[name][axis] == (graph.layers[name].weight, graph.layers[name].activation)[axis].bits[index]
            for (name, axis), index in indices.items()
        )

    def state(self):
        """Returns the state without the logits: the index of the candidate of every decided choice, as JSON."""
        return [[name, axis, index] for (name, axis), (index, _) in self._held.items()]

    def restore(self, state: Any) -> None:
        """Restores a state, after the values of the logits."""
        self._held = {
            (name, axis): (index, np.asarray(self._choices[name, axis].numpy(), np.float32))
            for name, axis, index in state
        }
