import dataclasses
import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from tests.small_graphs import CONV, DENSE, assignments, chain, layer, searched_net, selection
from tfmp import costs
from tfmp.graph import LayerShape
from tfmp.search import SearchedCost
from tfmp.search.assignment import best_within, most_probable, most_probable_within, sample

quick = hypothesis.settings(max_examples=50, deadline=None, derandomize=True)


@st.composite
def tensors(draw, signed):
    bits = sorted(draw(st.sets(st.integers(1, 8), min_size=1, max_size=3)))
    odds = [draw(st.sampled_from([1e-9, 0.01, 0.3, 1.0, 1.0])) * draw(st.floats(0.5, 1.0)) for _ in bits]
    return selection(bits, [value / sum(odds) for value in odds], signed=signed)


@st.composite
def nets(draw):
    """One to four layers of any size, at least one of them searched, some called twice."""
    layers, order = [], []
    for index in range(draw(st.integers(1, 4))):
        side, channels = draw(st.integers(1, 99)), draw(st.integers(1, 700))
        shape = LayerShape(f"layer_{index}", "conv2d", (3, 3), (1, 1), channels, 64, 1, (side, side))
        weight, activation = draw(tensors(True)), draw(tensors(False))
        coupled = len(weight.bits) == len(activation.bits) and draw(st.booleans())
        if coupled:
            activation = dataclasses.replace(activation, probabilities=weight.probabilities)
        layers.append(dataclasses.replace(layer(shape, weight, activation), coupled=coupled))
        order += [shape.name] * draw(st.sampled_from([1, 1, 2]))
    graph = chain(*layers, order=order)
    hypothesis.assume(graph.searched)
    return graph


def chosen(graph, bits):
    """The probabilities of every choice that there is, and the index of what an assignment has; coupled ones once."""
    for name, pair in bits.items():
        tensors = (graph.layers[name].weight, graph.layers[name].activation)
        for choice, b in list(zip(tensors, pair, strict=True))[: 1 if graph.layers[name].coupled else 2]:
            yield choice.probabilities, choice.bits.index(b)


def log_probability(graph, bits):
    return sum(math.log(probabilities[index]) for probabilities, index in chosen(graph, bits))


def log_cumulative(graph, bits):
    return sum(math.log(min(1.0, sum(probabilities[: index + 1]))) for probabilities, index in chosen(graph, bits))


def bitops(graph, bits):
    calls = [call.layer for call in graph.calls]
    return sum(graph.layers[name].shape.macs * calls.count(name) * w * a for name, (w, a) in bits.items())


def reaches(bits, floor):
    return all(w >= floor[name][0] and a >= floor[name][1] for name, (w, a) in bits.items())


@quick
@hypothesis.given(nets(), st.data())
def test_most_probable_within_is_the_best_of_all_assignments(graph, data):
    every = [bits for _, bits in assignments(graph)]
    # Limits that an assignment meets exactly, or misses by one bit operation in billions.
    limit = bitops(graph, data.draw(st.sampled_from(every))) - data.draw(st.sampled_from([0, 1]))
    hypothesis.assume(limit > 0)
    feasible = [bits for bits in every if bitops(graph, bits) <= limit]
    priced = SearchedCost(graph, "bitops")
    if not feasible:
        cheapest = min(bitops(graph, bits) for bits in every)
        with pytest.raises(ValueError) as caught:
            most_probable_within(priced, limit)
        assert f"{cheapest:g}" in str(caught.value)
        return
    found = most_probable_within(priced, limit, spend=False)
    assert bitops(graph, found) <= limit
    best = max(log_probability(graph, bits) for bits in feasible)
    assert log_probability(graph, found) >= best - 1e-5

    spent = most_probable_within(priced, limit)
    assert bitops(graph, spent) <= limit
    assert reaches(spent, found)
    richer = [bits for bits in feasible if reaches(bits, found)]
    assert log_cumulative(graph, spent) >= max(log_cumulative(graph, bits) for bits in richer) - 1e-5
    assert not [bits for bits in richer if reaches(bits, spent) and bitops(graph, bits) > bitops(graph, spent)]
    assert all(isinstance(b, int) for pair in spent.values() for b in pair)


@quick
@hypothesis.given(nets(), st.data())
def test_best_within_is_the_best_of_all_assignments_in_any_unit(graph, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    unit = data.draw(st.sampled_from([1e-9, 1.0, 1e9]))
    values = {
        layer.name: unit * rng.normal(size=(len(layer.weight.bits), len(layer.activation.bits)))
        for layer in graph.searched
    }

    def value(bits):
        layers = graph.layers
        return sum(
            values[name][layers[name].weight.bits.index(w), layers[name].activation.bits.index(a)]
            for name, (w, a) in bits.items()
        )

    every = [bits for _, bits in assignments(graph)]
    limit = bitops(graph, data.draw(st.sampled_from(every)))
    feasible = [bits for bits in every if bitops(graph, bits) <= limit]
    found = best_within(SearchedCost(graph, "bitops"), limit, values)
    assert bitops(graph, found) <= limit
    assert value(found) >= max(map(value, feasible)) - 1e-6 * unit
    spent = best_within(SearchedCost(graph, "bitops"), limit, values, spend=values)
    assert reaches(spent, found)
    assert not [bits for bits in feasible if reaches(bits, spent) and bits != spent]


@quick
@hypothesis.given(nets())
def test_without_a_bound_the_most_probable_of_every_layer_wins(graph):
    free = most_probable(graph)
    assert free.keys() == {layer.name for layer in graph.searched}
    best = max(log_probability(graph, bits) for _, bits in assignments(graph))
    assert log_probability(graph, free) == pytest.approx(best, abs=1e-9)
    within = most_probable_within(SearchedCost(graph, "bitops"), 1e18, spend=False)
    assert log_probability(graph, within) == pytest.approx(best, abs=1e-5)


def test_spending_prefers_the_bits_that_the_search_wanted():
    def net(first, second):
        activation = selection((4,), signed=False)
        shapes = [LayerShape(name, "dense", in_channels=10, out_channels=10) for name in ("a", "b")]
        return chain(
            layer(shapes[0], selection((2, 4), first), activation),
            layer(shapes[1], selection((2, 4), second), activation),
        )

    # 2 bits each are the most probable, and there is room to raise one layer.
    limit = 100 * 4 * (2 + 4)
    for first, second, expected in [
        ((0.9, 0.1), (0.6, 0.4), {"a": (2, 4), "b": (4, 4)}),
        ((0.6, 0.4), (0.9, 0.1), {"a": (4, 4), "b": (2, 4)}),
    ]:
        priced = SearchedCost(net(first, second), "bitops")
        assert most_probable_within(priced, limit, spend=False) == {"a": (2, 4), "b": (2, 4)}
        assert most_probable_within(priced, limit) == expected


def test_a_budget_left_by_improbable_bits_is_spent_all_the_same():
    graph = chain(layer(CONV, selection((1, 2, 8), (1.0, 0.0, 0.0)), selection((2, 4), (1.0, 0.0), signed=False)))
    priced = SearchedCost(graph, "bitops")
    assert most_probable_within(priced, 1e9) == {"conv": (8, 4)}
    assert most_probable_within(priced, 1e9, spend=False) == {"conv": (1, 2)}


class DearerWithFewerBits(costs.Cost):
    """As a runtime whose kernels for 4 bits are slow: 8 bits cost less."""

    name, unit = "made_up", "units"

    def table(self, shape, weight_formats, activation_formats):
        rows = [9.0 if format.bits == 4 else 2.0 for format in weight_formats]
        return np.repeat(np.array(rows)[:, None], len(activation_formats), axis=1)


def test_bits_that_cost_nothing_are_taken_however_improbable():
    graph = chain(layer(CONV, selection((4, 8), (1.0, 0.0)), selection((2, 4), (1.0, 0.0), signed=False)))
    priced = SearchedCost(graph, DearerWithFewerBits())
    assert most_probable_within(priced, 9.0, spend=False) == {"conv": (4, 2)}
    assert most_probable_within(priced, 9.0) == most_probable_within(priced, 2.0) == {"conv": (8, 4)}


def test_costs_that_do_not_depend_on_the_bits():
    graph = chain(layer(DENSE, selection((2, 4), (0.3, 0.7)), selection((2, 3), (0.6, 0.4), signed=False)))
    priced = SearchedCost(graph, "flops")
    assert most_probable_within(priced, 120, spend=False) == {"dense": (4, 2)}
    with pytest.raises(ValueError, match="costs 119 multiply.* or less: the cheapest costs 120.*fewer bits"):
        most_probable_within(priced, 119)


class OneInAHundredBillion(costs.Cost):
    """Two layers at 2 bits exceed 1e11 + 1 by one part in 1e11, which the solver does not see."""

    name, unit = "made_up", "units"

    def table(self, shape, weight_formats, activation_formats):
        return np.array([[0.0 if format.bits == 1 else 5e10 + 1] for format in weight_formats])


def test_a_limit_missed_by_less_than_the_solver_sees_is_missed():
    shapes = [LayerShape(name, "dense", in_channels=3, out_channels=3) for name in "ab"]
    graph = chain(*(layer(s, selection((1, 2), (0.1, 0.9)), selection((4,), signed=False)) for s in shapes))
    priced = SearchedCost(graph, OneInAHundredBillion())
    for spend in (False, True):
        found = most_probable_within(priced, 1e11 + 1, spend=spend)
        assert sorted(found.values()) == [(1, 4), (2, 4)]
        assert most_probable_within(priced, 1e11 + 2, spend=spend) == {"a": (2, 4), "b": (2, 4)}


def test_many_equal_layers():
    layers = [
        layer(
            LayerShape(f"layer_{i}", "conv2d", (3, 3), (1, 1), 64, 64, 1, (28, 28)),
            selection((1, 2, 3, 4)),
            selection((2, 3, 4), signed=False),
        )
        for i in range(50)
    ]
    priced = SearchedCost(chain(*layers), "bitops")
    limit = priced.uniform(2, 2)
    found = most_probable_within(priced, limit)
    assert 0.99 * limit < priced.of(found) <= limit


def test_sampling_frequencies_are_the_probabilities():
    graph, rng, count = searched_net(), np.random.default_rng(0), 3000
    draws = [sample(graph, rng) for _ in range(count)]
    assert draws[0].keys() == {"conv", "grouped", "dense"}
    for name, tensor in [("conv", 0), ("conv", 1), ("grouped", 0), ("dense", 1)]:
        choice = (graph.layers[name].weight, graph.layers[name].activation)[tensor]
        observed = [sum(draw[name][tensor] == b for draw in draws) for b in choice.bits]
        assert stats.chisquare(observed, np.multiply(count, choice.probabilities)).pvalue > 1e-3


def test_coupled_pairs_are_drawn_as_one():
    odds = (0.3, 0.7)
    coupled = layer(DENSE, selection((1, 4), odds), selection((2, 8), odds, signed=False))
    graph, rng = chain(dataclasses.replace(coupled, coupled=True)), np.random.default_rng(0)
    draws = [sample(graph, rng)["dense"] for _ in range(2000)]
    assert set(draws) == {(1, 2), (4, 8)}
    assert stats.binomtest(draws.count((4, 8)), len(draws), 0.7).pvalue > 1e-3
    assert most_probable(graph) == {"dense": (4, 8)}
    priced = SearchedCost(graph, "bitops")
    assert priced.expected() == pytest.approx(120 * (0.3 * 2 + 0.7 * 32))
    assert priced.expected({"dense": ((0.5, 0.5), (0.5, 0.5))}) == pytest.approx(120 * 17)


def test_more_trials_come_closer_to_the_most_probable():
    """EdMIPS, eq. 19: with p = 0.6 and 3 trials of 2 candidates, 0.6**3 + 3 * 0.6**2 * 0.4 = 0.648."""
    graph = chain(layer(DENSE, selection((2, 3), (0.4, 0.6)), selection((2,), signed=False)))
    rng, count = np.random.default_rng(1), 3000
    for trials, expected in [(3, 0.648), (1001, 1.0)]:
        share = np.mean([sample(graph, rng, trials=trials)["dense"][0] == 3 for _ in range(count)])
        assert abs(share - expected) < 4 * math.sqrt(0.25 / count)


def test_equal_counts_are_drawn_among():
    graph = chain(layer(DENSE, selection((2, 3)), selection((2,), signed=False)))
    rng = np.random.default_rng(2)
    assert {sample(graph, rng, trials=2)["dense"][0] for _ in range(60)} == {2, 3}


def test_equal_seeds_draw_equally():
    graph = searched_net()
    assert sample(graph, np.random.default_rng(3), trials=2) == sample(graph, np.random.default_rng(3), trials=2)
