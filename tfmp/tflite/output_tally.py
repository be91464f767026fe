"""Accumulates agreement figures over batches."""

import math

import numpy as np

from tfmp.reports import OutputAgreement
from tfmp.transform.output_kind import LARGEST, SIDE

_EQUAL = 1e-5  # of the largest in a row: how far apart numbers in floating point count as equal


class OutputTally:
    """Counts over all parts of the samples.

    Args:
        name: Name of the output.
        decision: What `tfmp.transform.output_kind.decision` says of it.
        exact: True if numbers count as equal where they are the same alone.
    """

    def __init__(self, name, decision, *, exact):
        self.name, self.decision, self.exact = name, decision, exact
        self.count = self.equal = self.decisions = self.same = self.classes = 0
        self.mean = self.squares = self.signal = self.noise = self.largest = 0.0

    def add(self, expected, found):
        """Counts a part: what the model returns and what the file returns for the same samples."""
        expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
        difference = np.abs(found - expected)
        tolerance = 0.0 if self.exact else _EQUAL * np.abs(expected).max(-1, keepdims=True, initial=0)
        self.equal += int(np.count_nonzero(difference <= tolerance))
        self.signal += float(np.square(expected).sum())
        self.noise += float(np.square(difference).sum())
        self.largest = max(self.largest, float(difference.max(initial=0)))
        self._add_deviation(expected)
        if self.decision:
            self._add_decisions(expected, found)

    def _add_deviation(self, expected):
        """Mean and squares around it of the union of two parts, by Chan et al., 1979."""
        mean = expected.mean()
        count, shift = self.count + expected.size, mean - self.mean
        self.squares += float(np.square(expected - mean).sum()) + shift**2 * self.count * expected.size / count
        self.mean += shift * expected.size / count
        self.count = count

    def _add_decisions(self, expected, found):
        if self.decision == LARGEST:
            self.classes = expected.shape[-1]
            same = expected.argmax(-1) == found.argmax(-1)
        elif self.decision == SIDE:
            same = (expected >= 0.5) == (found >= 0.5)
        else:
            same = expected == found
        self.decisions += same.size
        self.same += int(np.count_nonzero(same))

    @property
    def agreement(self) -> OutputAgreement:
        """The figures of all parts."""
        decibels = math.inf if not self.noise else _decibels(self.signal, self.noise)
        deviation = math.sqrt(self.squares / self.count)
        largest = self.largest and (self.largest / deviation if deviation else math.inf)
        if not self.decision:
            return OutputAgreement(self.name, decibels, largest, self.equal / self.count)
        decision = f"{self.decision} of {self.classes}" if self.decision == LARGEST else self.decision
        share = self.same / self.decisions
        return OutputAgreement(self.name, decibels, largest, self.equal / self.count, share, decision, self.decisions)


def signal_to_noise_db(expected: np.ndarray, found: np.ndarray) -> float:
    """Returns `10 * log10(sum(y**2) / sum((found - y)**2))`, in decibels; infinite if nothing differs."""
    noise = float(np.square(np.asarray(found, np.float64) - expected).sum())
    return math.inf if not noise else _decibels(float(np.square(expected, dtype=np.float64).sum()), noise)


def _decibels(signal, noise):
    return 10 * math.log10(signal / noise) if signal else -math.inf
