import itertools
import math

import numpy as np
import pytest

from tests.search_spaces import SMALL, TINY
from tfmp.joint.categoricals import Categoricals


@pytest.fixture
def tiny():
    return Categoricals(TINY)


def test_rows_of_the_matrix(tiny):
    assert tiny.shape == (10, 3)
    assert tiny.counts.tolist() == [2, 2, 2, 2, 3, 1, 2, 2, 2, 3]
    probabilities = tiny.probabilities(np.full(tiny.shape, 1000.0))
    np.testing.assert_allclose(probabilities, tiny.mask / tiny.counts[:, None])


def test_samples_have_the_probabilities(tiny):
    probabilities = tiny.probabilities(np.random.default_rng(0).normal(size=tiny.shape) * 2)
    drawn = tiny.sample(probabilities, 20000, (1, 2))
    np.testing.assert_allclose(tiny.one_hot(drawn).mean(axis=0), probabilities, atol=0.015)
    np.testing.assert_array_equal(drawn, tiny.sample(probabilities, 20000, (1, 2)))
    assert (drawn != tiny.sample(probabilities, 20000, (1, 3))).any()
    # Neighbouring rows are independent.
    both = np.mean((drawn[:, 0] == 0) & (drawn[:, 1] == 0))
    assert both == pytest.approx(probabilities[0, 0] * probabilities[1, 0], abs=0.015)


def test_networks_and_indices(tiny):
    for categoricals in (tiny, Categoricals(SMALL)):
        for indices in categoricals.sample(categoricals.probabilities(np.zeros(categoricals.shape)), 20, 0):
            network = categoricals.network(indices)
            assert categoricals.network(categoricals.indices(network)) == network
            kept = indices.reshape(-1, 5)[:, 0] == 0
            found = categoricals.indices(network).reshape(-1, 5)
            np.testing.assert_array_equal(found[kept], indices.reshape(-1, 5)[kept])
    with pytest.raises(ValueError, match="must be one of"):
        tiny.indices(tiny.network(np.zeros(10, int)).with_bits(6))


def test_log_probability(tiny):
    probabilities = tiny.probabilities(np.zeros(tiny.shape))
    found = tiny.log_probability(probabilities, np.zeros(10, int))
    assert found == pytest.approx(-np.log(tiny.counts).sum())
    assert tiny.log_probability(tiny.one_hot(np.zeros(10, int)), np.minimum(1, tiny.counts - 1)) == -np.inf


def test_probabilities_of_all_networks_sum_to_1(tiny):
    probabilities = tiny.probabilities(np.random.default_rng(1).normal(size=tiny.shape))
    every = {tiny.network(indices): indices for indices in itertools.product(*map(range, tiny.counts))}
    assert len(every) == TINY.num_networks
    found = math.fsum(math.exp(tiny.log_probability(probabilities, indices)) for indices in every.values())
    assert found == pytest.approx(1)


def test_gradient_of_a_linear_function(tiny):
    rng = np.random.default_rng(3)
    logits, weights = rng.normal(size=tiny.shape), rng.normal(size=tiny.shape)
    found = tiny.gradient(tiny.probabilities(logits), weights)
    for place in np.ndindex(tiny.shape):
        moved = [logits.copy(), logits.copy()]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        high, low = ((tiny.probabilities(each) * weights).sum() for each in moved)
        assert found[place] == pytest.approx((high - low) / 2e-5, abs=1e-8)
