"""The course of a search as a function of the share that is done."""

import numpy as np
import pytest

from tests.small_graphs import CONV, GROUPED, chain, layer, selection
from tfmp.search.cost_correction import cost_correction
from tfmp.search.lagrangian import Penalty, ScheduledAscent
from tfmp.search.search_schedule import LOGIT_TRAVEL, SearchSchedule
from tfmp.search.searched_cost import SearchedCost

LENGTHS = (100, 300, 1000, 3000, 100_000)


@pytest.mark.parametrize("steps", LENGTHS)
def test_all_lengths_travel_as_far_and_decide_at_the_same_progress(steps):
    schedule, decided = SearchSchedule(), {}
    schedule.announce(steps)
    assert steps * schedule.learning_rate() == pytest.approx(LOGIT_TRAVEL)
    assert (steps // 5) * schedule.learning_rate(every=5) == pytest.approx(LOGIT_TRAVEL)
    for _ in range(100):
        schedule.advance(steps // 100)
        decided[round(schedule.progress, 2)] = schedule.num_decided(40)
    assert schedule.is_complete and schedule.progress == 1
    assert (decided[0.4], decided[0.65], decided[0.9], decided[1.0]) == (0, 20, 40, 40)
    assert np.diff(list(decided.values())).min() >= 0


@pytest.mark.parametrize("count", [1, 3, 7, 100])
def test_every_choice_is_decided_in_the_shortest_search(count):
    schedule = SearchSchedule()
    schedule.announce(1)
    schedule.advance(1)
    assert schedule.num_decided(count) == count


def test_progress_never_falls_when_more_steps_are_announced():
    schedule = SearchSchedule()
    with pytest.raises(ValueError, match=r"length of the search is unknown. .*`search.schedule\(optimizer, steps"):
        schedule.advance(1)
    schedule.announce(10)
    schedule.advance(6)
    schedule.announce(100)
    schedule.advance(1)
    assert schedule.progress == 0.6 and schedule.fraction == 0
    other = SearchSchedule()
    other.restore(schedule.state())
    assert (other.done, other.progress) == (7, 0.6)


def softmax(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def network():
    bits = {"conv": ((1, 2, 4), (2, 3, 4)), "grouped": ((1, 2, 3, 4), (2, 4))}
    graph = chain(
        *(
            layer(shape, selection(bits[shape.name][0]), selection(bits[shape.name][1], signed=False))
            for shape in (CONV, GROUPED)
        )
    )
    return SearchedCost(graph, "bitops"), {
        (name, axis): np.array(b, float) for name in bits for axis, b in enumerate(bits[name])
    }


def probabilities(logits):
    return {name: (softmax(logits[name, 0]), softmax(logits[name, 1])) for name in ("conv", "grouped")}


def test_a_correction_brings_the_expected_cost_to_its_target():
    """Newton's method on the true cost, from random logits; a tensor of which the cost is independent stays."""
    rng = np.random.default_rng(0)
    priced, bits = network()
    penalty = Penalty(priced, ScheduledAscent(), limit=priced.uniform(2, 2))
    for share in (0.6, 0.9, 1.3):
        logits = {key: rng.normal(size=len(values)) for key, values in bits.items()}
        target = share * priced.uniform(2, 2)
        for _ in range(8):
            changes = cost_correction(penalty, target, probabilities(logits), bits, fraction=1.0)
            logits = {key: values + changes[key] for key, values in logits.items()}
        assert priced.expected(probabilities(logits)) == pytest.approx(target, rel=1e-6)
        assert cost_correction(penalty, target, probabilities(logits), [], fraction=1.0) == {}
    bounded = cost_correction(penalty, 0.1 * target, probabilities(logits), bits, fraction=1e-3)
    spans = [np.abs(change).max() for change in bounded.values()]
    np.testing.assert_allclose(spans, 2 * LOGIT_TRAVEL * 1e-3)


def trajectory(steps, scale):
    """The expected cost and the multiplier, ten times in a search by Adam on harms scale * 4**-bits of each tensor."""
    priced, bits = network()
    penalty = Penalty(priced, ScheduledAscent(), limit=priced.uniform(2, 2))
    harms = {
        key: scale * factor * 4.0**-values for (key, values), factor in zip(bits.items(), (1, 9, 3, 2), strict=True)
    }
    logits = {key: np.zeros(len(values)) for key, values in bits.items()}
    means, squares = ({key: np.zeros(len(values)) for key, values in bits.items()} for _ in range(2))
    schedule, found = SearchSchedule(), []
    schedule.announce(steps)
    for step in range(1, steps + 1):
        now = probabilities(logits)
        prices = penalty.prices(now)
        for (name, axis), harm in harms.items():
            price = prices[name] @ now[name][1] if axis == 0 else now[name][0] @ prices[name]
            p = now[name][axis]
            gradient = p * (harm + price - p @ (harm + price))
            means[name, axis] = 0.5 * means[name, axis] + 0.5 * gradient
            squares[name, axis] = 0.95 * squares[name, axis] + 0.05 * gradient**2
            size = np.sqrt(squares[name, axis] / (1 - 0.95**step)) + 1e-12
            logits[name, axis] -= schedule.learning_rate() * means[name, axis] / (1 - 0.5**step) / size
        schedule.advance(1)
        penalty.multiplier.advance(schedule.progress, schedule.fraction)
        penalty.step(probabilities(logits))
        target = penalty.multiplier.target(penalty.limit)
        changes = cost_correction(penalty, target, probabilities(logits), bits, schedule.fraction)
        logits = {key: values + changes[key] for key, values in logits.items()}
        if step % (steps // 10) == 0:
            found.append((penalty.expected(probabilities(logits)), penalty.multiplier.value / scale))
    return np.array(found)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
def test_the_budget_is_met_from_a_quarter_on_at_any_length_and_scale_of_the_loss(scale):
    for steps in (100, 300, 1000):
        cost, multiplier = trajectory(steps, scale).T
        np.testing.assert_allclose(cost[3:], 0.99, atol=0.01, err_msg=str(steps))
        assert 1e-4 < multiplier[-1] < 10
    assert cost[0] > 1.1


def test_a_multiplier_goes_on_where_it_stopped():
    first = ScheduledAscent()
    for progress in (0.1, 0.2):
        first.advance(progress, 0.1)
        first.update(3.0, 2.0)
    second = ScheduledAscent()
    second.restore(first.state())
    for each in (first, second):
        each.advance(0.3, 0.1)
        each.update(2.5, 2.0)
    assert first.state() == second.state()
    # log(2.5 / 1.98) = 0.23 counts in full: below 4 per search, of which this is a tenth.
    assert first.target(2.0) == pytest.approx(1.98)
