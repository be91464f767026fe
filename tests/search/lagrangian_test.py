"""Lagrange multipliers and the cost term of the loss."""

import numpy as np
import pytest

from tests.small_graphs import CONV, DENSE, chain, layer, searched_net, selection
from tfmp import costs
from tfmp.costs.runtime_table import RuntimeRow, RuntimeTable
from tfmp.search import SearchedCost
from tfmp.search.lagrangian import DualAscent, FixedMultiplier, Penalty


def descend(multiplier, *, limit, target=3.0, steps=6000, rate=0.02, start=3.0, noise=None):
    """Gradient descent on (x - target)**2 + value * cost / limit with cost = x; returns the costs."""
    x, costs = start, []
    for step in range(steps):
        gradient = 2 * (x - target) + multiplier.value / limit
        x -= rate * (gradient + (0 if noise is None else noise[step]))
        multiplier.update(x, limit)
        costs.append(x)
    return np.array(costs)


@pytest.mark.parametrize("limit", [0.5, 1.0, 2.0, 2.5])
def test_dual_ascent_settles_at_the_limit_with_the_multiplier_of_the_optimum(limit):
    multiplier = DualAscent()
    costs = descend(multiplier, limit=limit, steps=20000)
    np.testing.assert_allclose(costs[-500:], limit, rtol=2e-3)
    # Where the cost is the limit, 2 (x - target) + value / limit = 0.
    assert multiplier.value == pytest.approx(2 * (3.0 - limit) * limit, rel=2e-2)


def test_dual_ascent_holds_the_limit_on_average_under_noise():
    costs = descend(DualAscent(), limit=1.0, noise=np.random.default_rng(0).normal(size=6000))
    assert np.mean(costs[2000:]) == pytest.approx(1.0, rel=0.02)


def test_dual_ascent_costs_nothing_where_the_limit_does_not_bind():
    multiplier = DualAscent()
    costs = descend(multiplier, limit=10.0)
    assert multiplier.value == 0
    assert costs[-1] == pytest.approx(3.0)


def test_dual_ascent_is_the_formula():
    multiplier = DualAscent(learning_rate=0.5, damping=2.0)
    integral = 0.0
    for cost in [12.0, 15.0, 4.0, 1.0, 11.0]:
        excess = cost / 10.0 - 1
        integral = max(0.0, integral + 0.5 * excess)
        multiplier.update(cost, 10.0)
        assert multiplier.integral == pytest.approx(integral)
        assert multiplier.value == pytest.approx(max(0.0, integral + 2.0 * excess))


def test_a_restored_multiplier_goes_on_as_if_never_stopped():
    unbroken = DualAscent()
    costs = descend(unbroken, limit=1.0, steps=200)
    first = DualAscent()
    descend(first, limit=1.0, steps=100)
    second = DualAscent()
    second.restore(first.state())
    descend(second, limit=1.0, steps=100, start=costs[99])
    assert second.state() == unbroken.state()
    assert set(second.state()) == {"value", "integral"}


def test_a_fixed_multiplier_never_moves():
    multiplier = FixedMultiplier(0.25)
    multiplier.update(100.0, 1.0)
    assert multiplier.value == 0.25 and multiplier.state() == {"value": 0.25}
    other = FixedMultiplier(0)
    other.restore(multiplier.state())
    assert other.value == 0.25


@pytest.mark.parametrize("eta", [-0.1, float("nan")])
def test_a_negative_multiplier_is_refused(eta):
    with pytest.raises(ValueError, match="`eta` must be a finite number at least 0. Received"):
        FixedMultiplier(eta)


PRICES = {(2, 2): 3.0, (2, 4): 5.0, (4, 2): 4.0, (4, 4): 7.0}
MEASURED = RuntimeTable(rows=tuple(RuntimeRow(CONV, bits, 40.0 / bits) for bits in (4, 8)))
COSTS = {
    "bitops": (costs.BitOps(), (2, 4), CONV.macs),
    "model_size": (costs.ModelSize(), (2, 4), CONV.num_weights),
    "table": (costs.Table({"conv": PRICES}, unit="ms"), (2, 4), 3.0),
    "runtime_latency": (costs.RuntimeLatency(MEASURED, mode="fast"), (4, 8), 5.0),
    "function": (costs.Function(lambda shape, w, a: w + a, name="sum", unit="bits"), (2, 4), 2.0),
}


@pytest.mark.parametrize("name", COSTS)
def test_what_a_fixed_multiplier_adds_is_in_units_of_the_first_layer(name):
    """At one bit, or at its cheapest candidates where one bit has no price."""
    cost, bits, unit = COSTS[name]
    graph = chain(layer(CONV, selection(bits), selection(bits, signed=False)))
    penalty = Penalty(SearchedCost(graph, cost), FixedMultiplier(0.25))
    assert penalty.normalizer == unit
    odds = {"conv": (np.array([0.25, 0.75]), np.array([1.0, 0.0]))}
    table = cost.table(CONV, *(getattr(graph.layers["conv"], tensor).formats for tensor in ("weight", "activation")))
    np.testing.assert_allclose(penalty.prices(odds)["conv"], 0.25 * table / unit)
    assert penalty.step(odds) == pytest.approx((0.25 * table[0, 0] + 0.75 * table[1, 0]) / unit)
    assert penalty.multiplier.value == 0.25


def test_a_normalizer_has_to_be_positive():
    free = costs.Function(lambda shape, w, a: (w - 1) * a, name="surplus", unit="bits")
    with pytest.raises(ValueError, match="`surplus`.*layer `conv` at one bit.*positive. Received: 0 bits"):
        Penalty(SearchedCost(searched_net(), free), FixedMultiplier(1.0))
    graph = chain(layer(DENSE, selection((1, 2)), selection((1, 2), signed=False)))
    with pytest.raises(ValueError, match="`surplus`.*the budget, which must be positive"):
        Penalty(SearchedCost(graph, free), DualAscent(), limit=0.0)
