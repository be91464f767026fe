"""The two estimates of the expected cost's gradient against all networks of a small space, and against each other."""

import itertools
import json
import math

import numpy as np
import pytest

from tests.search_spaces import SMALL, TINY
from tfmp import costs
from tfmp.joint.architecture_cost import ArchitectureCost
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.cost_gradient import BASELINES, ExactGradient, Reinforce
from tfmp.simulator import simulate


def some_logits(categoricals, seed=0, scale=1.0):
    return np.random.default_rng(seed).normal(size=categoricals.shape) * scale


class Everything:
    """The expected cost as the sum over every combination of candidates."""

    def __init__(self, categoricals, cost):
        self.categoricals = categoricals
        self.indices = np.array(list(itertools.product(*map(range, categoricals.counts))))
        self.costs = [cost(categoricals.network(indices)) for indices in self.indices]

    def __call__(self, logits):
        probabilities = self.categoricals.probabilities(logits)
        each = probabilities[np.arange(len(probabilities)), self.indices].prod(axis=1)
        return math.fsum(each * self.costs)


@pytest.fixture(scope="module")
def tiny():
    return Categoricals(TINY)


COSTS = [
    "energy",
    "simulated_latency",
    "bitops",
    "activation_memory",
    costs.ModelSize(kernels_only=True),
    costs.Function(lambda shape, w, a: w * len(shape.name), name="by_name", unit="letters"),
    costs.Table({"stage2_block1_expand": {(2, 2): 1.0, (8, 8): 5.0}}, unit="ms", others=0.5),
]


@pytest.mark.default_cases("energy", "bitops", "by_name")
@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: costs.get(cost).name)
def test_exact_expectation_is_that_over_all_networks(tiny, cost):
    logits = some_logits(tiny)
    exact = ExactGradient(TINY, cost).estimate(logits)
    assert exact.expected == pytest.approx(Everything(tiny, ArchitectureCost(cost))(logits), rel=1e-12)


def test_exact_gradient_is_that_of_finite_differences(tiny):
    logits, step, expectation = some_logits(tiny, 1), 1e-4, Everything(tiny, ArchitectureCost("energy"))
    found = ExactGradient(TINY).estimate(logits).gradient
    expected = np.zeros(tiny.shape)
    for place in np.argwhere(tiny.mask):
        if tiny.counts[place[0]] == 1:
            continue
        moved = [logits.copy(), logits.copy()]
        moved[0][tuple(place)] += step
        moved[1][tuple(place)] -= step
        high, low = map(expectation, moved)
        expected[tuple(place)] = (high - low) / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7 * np.abs(expected).max())


@pytest.mark.default_cases("leave_one_out")
@pytest.mark.parametrize("baseline", BASELINES)
def test_mean_of_reinforce_is_the_exact_gradient(baseline):
    """Within 4.5 standard errors everywhere, of which chance leaves fewer than one in 100,000 outside."""
    categoricals, cost = Categoricals(TINY), ArchitectureCost("energy")
    logits = some_logits(categoricals, 2)
    exact = ExactGradient(TINY).estimate(logits)
    reinforce = Reinforce(TINY, cost, samples=4, baseline=baseline)
    found = np.array([reinforce.estimate(logits, (7, step)).gradient for step in range(1500)])
    error = found.std(axis=0, ddof=1) / math.sqrt(len(found))
    decided = error > 0
    assert decided.sum() == categoricals.mask[categoricals.counts > 1].sum()
    assert (np.abs(found.mean(axis=0) - exact.gradient)[decided] < 4.5 * error[decided]).all()
    assert np.abs(exact.gradient[~decided]).max() == 0
    # The test can tell: an estimate that forgets the baseline's sign, or a row, is far outside.
    assert (np.abs(exact.gradient)[decided] > 4.5 * error[decided]).any() or baseline == "none"


def test_baselines_lower_the_variance():
    categoricals, cost = Categoricals(TINY), ArchitectureCost("energy")
    logits = some_logits(categoricals)
    spread = {}
    for baseline in BASELINES:
        reinforce = Reinforce(TINY, cost, baseline=baseline)
        found = np.array([reinforce.estimate(logits, (1, step)).gradient for step in range(60)])
        spread[baseline] = found.var(axis=0).sum()
    assert max(spread["moving_average"], spread["leave_one_out"]) < spread["none"] / 3


def test_state_of_reinforce(tiny):
    """An oracle that answers otherwise each time is not asked again for what it said before."""
    noise = np.random.default_rng(0)

    def oracle(network):
        return noise.normal()

    first = Reinforce(TINY, oracle, samples=3)
    first.estimate(some_logits(tiny), (0,))
    second = Reinforce(TINY, oracle, samples=3)
    second.restore(json.loads(json.dumps(first.state())))
    one, other = (each.estimate(some_logits(tiny), (0,)) for each in (first, second))
    assert one.expected == other.expected
    np.testing.assert_array_equal(one.gradient, other.gradient)


def test_identities_tell_costs_apart():
    found = [
        ExactGradient(TINY),
        ExactGradient(TINY, costs.Energy(batch=1)),
        ExactGradient(TINY, "simulated_latency"),
        ExactGradient(TINY, "bitops"),
        Reinforce(TINY, len),
        Reinforce(TINY, max),
        Reinforce(TINY, len, samples=9),
        Reinforce(TINY, len, baseline="none"),
        Reinforce(TINY, len, momentum=0.5),
    ]
    assert len({json.dumps(each.identity()) for each in found}) == len(found)
    assert ExactGradient(TINY).identity() == ExactGradient(TINY, costs.Energy(batch=16)).identity()


@pytest.mark.parametrize("space", [SMALL, TINY], ids=["small", "tiny"])
def test_energy_of_a_network_is_that_of_the_simulator(space):
    categoricals = Categoricals(space)
    for indices in categoricals.sample(categoricals.probabilities(np.zeros(categoricals.shape)), 5, (3,)):
        network = categoricals.network(indices)
        report = simulate(network.layers, network.bits, batch=4)
        assert ArchitectureCost(costs.Energy(batch=4))(network) == report.total.energy_nj["total"]
        assert ArchitectureCost(costs.SimulatedLatency(batch=4))(network) == report.total.total_cycles


def test_costs_read_names():
    """By hand: stem, last, classifier and two blocks of three layers, one of which the table holds."""
    table, categoricals = COSTS[-1], Categoricals(TINY)
    network = categoricals.network(np.zeros(len(categoricals.counts), int))
    assert (
        ArchitectureCost(table)(network) == 1.0 + 8 * 0.5
        and ArchitectureCost(table)(network.with_bits(8)) == 5.0 + 8 * 0.5
    )
    assert ArchitectureCost(COSTS[-2])(network) == sum(
        network.bits[each.name][0] * len(each.name) for each in network.layers
    )
    with pytest.raises(ValueError, match="has no layer `stem`.*`others=`"):
        ArchitectureCost(costs.Table({"last": {(8, 8): 1.0}}, unit="ms"))(network)


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="`baseline` must be one of 'none'"):
        Reinforce(TINY, len, baseline="mean")
    with pytest.raises(ValueError, match="`samples` must be an integer, 2 or more"):
        Reinforce(TINY, len, samples=1, baseline="leave_one_out")
    with pytest.raises(ValueError, match="is not a sum over layers"):
        ArchitectureCost("tflite_bytes")
