"""Accumulates agreement figures over batches."""

import math

import numpy as np
from numpy.typing import ArrayLike

from tfmp.reports import OutputAgreement
from tfmp.transform.output_kind import LARGEST, SIDE

_EQUAL = 1e-5  # relative to the largest of a row: differences in floating point that count as equal


class OutputTally:
    """Accumulates the agreement of an output over all parts of the samples.

    Args:
        name: Name of the output.
        decision: Result of `tfmp.transform.output_kind.decision` for it.
        exact: True if only identical numbers count as equal.
    """

    def __init__(self, name: str, decision: str, *, exact: bool):
        self.name, self.decision, self.exact = name, decision, exact
        self.count = self.equal = self.decisions = self.same = self.classes = 0
        self.mean = self.squares = self.signal = self.noise = self.largest = 0.0

    def add(self, expected: ArrayLike, received: ArrayLike) -> None:
        """Adds the outputs of the model and of the file for the same samples."""
        expected, received = np.asarray(expected, np.float64), np.asarray(received, np.float64)
        difference = np.abs(received - expected)
        tolerance = 0.0 if self.exact else _EQUAL * np.abs(expected).max(-1, keepdims=True, initial=0)
        self.equal += int(np.count_nonzero(difference <= tolerance))
        self.signal += float(np.square(expected).sum())
        self.noise += float(np.square(difference).sum())
        self.largest = max(self.largest, float(difference.max(initial=0)))
        self._add_deviation(expected)
        if self.decision:
            self._add_decisions(expected, received)

    def _add_deviation(self, expected):
        """Updates the mean and the squared deviations with a new part (Chan et al., 1979)."""
        mean = expected.mean()
        count, shift = self.count + expected.size, mean - self.mean
        self.squares += float(np.square(expected - mean).sum()) + shift**2 * self.count * expected.size / count
        self.mean += shift * expected.size / count
        self.count = count

    def _add_decisions(self, expected, received):
        if self.decision == LARGEST:
            self.classes = expected.shape[-1]
            same = expected.argmax(-1) == received.argmax(-1)
        elif self.decision == SIDE:
            same = (expected >= 0.5) == (received >= 0.5)
        else:
            same = expected == received
        self.decisions += same.size
        self.same += int(np.count_nonzero(same))

    @property
    def agreement(self) -> OutputAgreement:
        """Returns the agreement over all parts."""
        decibels = math.inf if not self.noise else _decibels(self.signal, self.noise)
        deviation = math.sqrt(self.squares / self.count)
        largest = self.largest and (self.largest / deviation if deviation else math.inf)
        if not self.decision:
            return OutputAgreement(self.name, decibels, largest, self.equal / self.count)
        decision = f"{self.decision} of {self.classes}" if self.decision == LARGEST else self.decision
        share = self.same / self.decisions
        return OutputAgreement(self.name, decibels, largest, self.equal / self.count, share, decision, self.decisions)


def signal_to_noise_db(expected: np.ndarray, received: np.ndarray) -> float:
    """Returns `10 * log10(sum(y**2) / sum((found - y)**2))`, in decibels; infinite if nothing differs."""
    noise = float(np.square(np.asarray(received, np.float64) - expected).sum())
    return math.inf if not noise else _decibels(float(np.square(expected, dtype=np.float64).sum()), noise)


def _decibels(signal, noise):
    return 10 * math.log10(signal / noise) if signal else -math.inf
