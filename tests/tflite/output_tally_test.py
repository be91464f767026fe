"""Figures of an output against NumPy over all samples at once."""

import math

import numpy as np
import pytest

from tfmp.tflite.output_tally import OutputTally, signal_to_noise_db


def tally(expected, found, decision="", *, exact=False, at_a_time=100):
    collected = OutputTally("y", decision, exact=exact)
    for start in range(0, len(expected), at_a_time):
        collected.add(expected[start : start + at_a_time], found[start : start + at_a_time])
    return collected.agreement


@pytest.mark.parametrize("at_a_time", [1, 7, 100])
@pytest.mark.parametrize("shape", [(40, 5), (40, 3, 4), (40, 1)])
def test_figures_are_those_of_all_samples(shape, at_a_time):
    rng = np.random.default_rng(0)
    expected = rng.normal(3.0, 2.0, shape).astype(np.float32)
    found = expected + rng.normal(0.0, 0.5, shape).astype(np.float32) * (rng.random(shape) < 0.5)
    agreement = tally(expected, found, "largest", exact=True, at_a_time=at_a_time)
    error = (found - expected).astype(np.float64)
    assert agreement.signal_to_noise_db == pytest.approx(10 * np.log10(np.mean(expected**2) / np.mean(error**2)))
    assert agreement.signal_to_noise_db == pytest.approx(signal_to_noise_db(expected, found))
    assert agreement.largest_difference == pytest.approx(np.abs(error).max() / expected.std())
    assert agreement.equal_share == np.mean(expected == found)
    assert agreement.top1_agreement == np.mean(expected.argmax(-1) == found.argmax(-1))
    assert agreement.decision == f"largest of {shape[-1]}" and agreement.num_decisions == expected[..., 0].size


def test_sides_of_a_half():
    expected, found = np.array([[0.4], [0.6], [0.5], [0.1]]), np.array([[0.45], [0.49], [0.9], [0.1]])
    agreement = tally(expected, found, "side of 0.5")
    assert (agreement.top1_agreement, agreement.decision, agreement.num_decisions) == (0.75, "side of 0.5", 4)
    undecided = tally(expected, found)
    assert (undecided.top1_agreement, undecided.decision, undecided.num_decisions) == (None, "", 0)


def test_numbers_in_floating_point_are_equal_within_a_part_of_their_row():
    expected = np.array([[1, 2, 3], [4, 5, 600], [7, 8, 9], [3, 2, 1]], np.float32)
    errors = np.zeros((4, 3), np.float32)
    errors[0, 0] = 2e-5  # of 3
    errors[1, 0] = 4e-3  # of 600
    errors[2, 2] = -3
    assert tally(expected, expected + errors).equal_share == pytest.approx(11 / 12)
    assert tally(expected, expected + errors, exact=True).equal_share == pytest.approx(9 / 12)


@pytest.mark.parametrize(
    ("expected", "found", "decibels", "largest"),
    [
        (np.ones((3, 2)), np.ones((3, 2)), math.inf, 0.0),
        (np.ones((3, 2)), np.full((3, 2), 1.5), 10 * math.log10(4), math.inf),
        (np.zeros((3, 2)), np.full((3, 2), 1.5), -math.inf, math.inf),
    ],
    ids=["equal", "constant", "zero"],
)
def test_outputs_without_signal_or_noise(expected, found, decibels, largest):
    agreement = tally(expected, found)
    assert agreement.signal_to_noise_db == pytest.approx(decibels) and agreement.largest_difference == largest
