import numpy as np
import pytest

from tfmp.search import DualAscent, FixedMultiplier


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
