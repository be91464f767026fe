"""Warnings of open choices and exceeded budgets."""

import warnings

import numpy as np
import pytest

from tfmp.search.undecided import is_untouched, selection_entropy, warn_if_undecided

DECIDED = {"conv": (np.array([0.999, 0.001]), np.array([1.0]))}
OPEN = {"conv": (np.array([0.8, 0.2]), np.array([1.0]))}


def test_the_entropy_is_that_of_the_open_choices():
    assert selection_entropy(OPEN) == pytest.approx(-(0.8 * np.log2(0.8) + 0.2 * np.log2(0.2)))
    assert selection_entropy({"conv": (np.ones(1), np.ones(1))}) == 0
    assert is_untouched({"conv": (np.full(4, 0.25), np.ones(1))}) and not is_untouched(OPEN)


@pytest.mark.parametrize(
    ("probabilities", "costs", "message"),
    [
        (OPEN, {"bitops": 1.0}, r"entropy of its choices is 0.72, .* Do something else."),
        (DECIDED, {"bitops": 1.31, "energy": 0.5}, r"undecided or over budget: its expected bitops are 131% of the bu"),
        (OPEN, {"bitops": 1.31}, r"is 0.72, .* decided, and its expected bitops are 131%"),
    ],
)
def test_a_warning_says_what_is_wrong_and_what_to_do(probabilities, costs, message):
    with pytest.warns(UserWarning, match=message):
        warn_if_undecided(probabilities, costs, way_out="Do something else.")


def test_a_decided_search_within_its_budget_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_undecided(DECIDED, {"bitops": 1.019}, way_out="")
