"""Decides the choices of a search one after another, by its schedule."""

from typing import Any

import numpy as np

from tfmp.mixins.decided_choices import DecidedChoices
from tfmp.search.cost_correction import cost_correction
from tfmp.search.lagrangian import ScheduledAscent
from tfmp.search.remaining_choices import RemainingChoices
from tfmp.search.search_schedule import LOGIT_TRAVEL, SearchSchedule

_SETTLING = 0.05  # share of a search in which the logits of a decided choice move to their final values


class ScheduledChoices(DecidedChoices):
    """Moves the expected cost to the budget at every step, and decides every choice by the end of the search.

    In each round of a `SearchSchedule`, the most probable assignment that keeps the decided choices and spends the
    budget is found exactly. The choices of which it takes the most probable candidates are decided for these. Their
    logits then move in a straight line to 12 nats for the decided candidate, within 5 % of the search. Since each round
    starts from an assignment within the budget, the last one leaves such an assignment.

    Args:
        schedule: The schedule, which the search advances.
        threshold: As in `DecidedChoices`, to decide choices earlier; None for the schedule alone.
    """

    def __init__(self, schedule: SearchSchedule, threshold: float | None = None):
        super().__init__(threshold)
        self._schedule = schedule
        self._moves: dict[Any, tuple[float, np.ndarray]] = {}  # choice to its progress and its logits when decided

    def prepare(self, layers: Any, penalties: Any) -> None:
        super().prepare(layers, penalties)
        self._penalties, self._remaining = list(penalties), RemainingChoices(penalties)
        self._moves = {}
        selectors = {key: (layers[key[0]].weight_selector, layers[key[0]].activation_selector) for key in self._choices}
        annealed = {key: pair[key[1]] for key, pair in selectors.items() if pair[key[1]].relaxation == "annealed"}
        self._temperatures = {key: selector.temperature for key, selector in annealed.items()}

    def step(self, probabilities):
        is_changed = super().step(probabilities)
        due = self._schedule.num_decided(len(self._choices)) - len(self._held)
        if due > 0:
            self._decide_most_probable(probabilities, due)
        return is_changed

    def _decide_most_probable(self, probabilities, count):
        decided = {key: index for key, (index, _) in self._held.items()}
        candidates = self._remaining.candidates(probabilities, decided)
        chances = {
            (name, axis): probabilities[name][axis][candidates[name, axis]]
            for name, axis in self._choices
            if (name, axis) not in decided
        }
        for key in sorted(chances, key=chances.__getitem__, reverse=True)[:count]:
            logits = np.asarray(self._choices[key].numpy(), np.float32)
            final = np.zeros_like(logits)
            final[candidates[key]] = LOGIT_TRAVEL
            self._held[key] = candidates[key], final
            self._moves[key] = self._schedule.progress, logits

    def _held_logits(self, key):
        """Returns the logits of a decided choice at the current progress."""
        final = super()._held_logits(key)
        if key not in self._moves:
            return final
        start, logits = self._moves[key]
        progress = self._schedule.progress
        share = 1.0 if progress >= 1 else min(1.0, (progress - start) / _SETTLING)
        return np.float32(logits + share * (final - logits))

    def correct(self, probabilities):
        """Moves the logits of open choices so that the expected cost of the tightest budget meets its target.

        Args:
            probabilities: Weight and activation probabilities by layer name.

        Returns:
            True if logits were written.
        """
        targets = [
            (penalty, penalty.multiplier.target(penalty.limit))
            for penalty in self._penalties
            if isinstance(penalty.multiplier, ScheduledAscent)
        ]
        if not targets:
            return False
        penalty, target = max(targets, key=lambda pair: pair[0].priced.expected(probabilities) / pair[1])
        still_open = [key for key in self._choices if key not in self._held]
        changes = cost_correction(penalty, target, probabilities, still_open, self._schedule.fraction)
        for key, change in changes.items():
            if key in self._temperatures:  # which divides the logits
                change = change * float(self._temperatures[key].numpy())
            self._choices[key].assign(np.float32(self._choices[key].numpy() + change))
        return bool(changes)

    def state(self):
        moves = {key: (start, logits.tolist()) for key, (start, logits) in self._moves.items()}
        return [[*entry, *moves.get((entry[0], entry[1]), ())] for entry in super().state()]

    def restore(self, state: Any) -> None:
        super().restore([entry[:3] for entry in state])
        self._moves = {}
        for name, axis, index, *move in state:
            if move:
                final = np.zeros(len(move[1]), np.float32)
                final[index] = LOGIT_TRAVEL
                self._held[name, axis] = index, final
                self._moves[name, axis] = float(move[0]), np.asarray(move[1], np.float32)
