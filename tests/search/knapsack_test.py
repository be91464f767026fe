import dataclasses

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tests.search.assignment_test import log_probability, nets, reaches
from tests.small_graphs import assignments, chain, layer, selection
from tfmp import costs
from tfmp.graph import LayerShape
from tfmp.search import Budget, SearchedCost
from tfmp.search.assignment import best_within, most_probable_within
from tfmp.search.budget import budgets_of, priced_limits
from tfmp.search.knapsack import least

quick = hypothesis.settings(max_examples=40, deadline=None, derandomize=True)
COSTS = ("bitops", "model_size")


def costs_of(priced, bits):
    return [each.of(bits) for each in priced]


@quick
@hypothesis.given(nets(), st.data())
def test_several_limits_are_met_by_the_best_of_all_assignments(graph, data):
    priced = [SearchedCost(graph, name) for name in COSTS]
    every = [bits for _, bits in assignments(graph)]
    # Limits that some assignment meets exactly, not always the same one; or misses by one.
    limits = [each.of(data.draw(st.sampled_from(every))) - data.draw(st.sampled_from([0, 0, 1])) for each in priced]
    hypothesis.assume(min(limits) > 0)
    feasible = [bits for bits in every if all(np.less_equal(costs_of(priced, bits), limits))]
    if not feasible:
        with pytest.raises(ValueError, match="fewer bits") as caught:
            most_probable_within(priced, limits)
        alone = [min(map(each.of, every)) > limit for each, limit in zip(priced, limits, strict=True)]
        # The budget that cannot be met: the first by itself, or the second where the first is met.
        number = alone.index(True) if any(alone) else 1
        met = [bits for bits in every if any(alone) or priced[0].of(bits) <= limits[0]]
        smallest = min(priced[number].of(bits) for bits in met)
        assert f"{smallest:g}" in str(caught.value) and f"`{COSTS[number]}`" in str(caught.value)
        assert f"{limits[number]:g}" in str(caught.value)
        return
    found = most_probable_within(priced, limits, spend=False)
    assert all(np.less_equal(costs_of(priced, found), limits))
    assert log_probability(graph, found) >= max(log_probability(graph, bits) for bits in feasible) - 1e-5

    spent = most_probable_within(priced, limits)
    assert all(np.less_equal(costs_of(priced, spent), limits))
    assert reaches(spent, found)
    richer = [bits for bits in every if bits != spent and reaches(bits, spent)]
    assert all(any(np.greater(costs_of(priced, bits), limits)) for bits in richer)


@quick
@hypothesis.given(nets(), st.data())
def test_the_least_of_one_cost_under_another(graph, data):
    priced = [SearchedCost(graph, name) for name in COSTS]
    every = [bits for _, bits in assignments(graph)]
    limit = priced[0].of(data.draw(st.sampled_from(every)))
    smallest = min(priced[1].of(bits) for bits in every if priced[0].of(bits) <= limit)
    assert least(priced[:1], [limit], priced[1]) == pytest.approx(smallest, rel=1e-9)


def two_layers():
    """One of few weights and many operations, one of many weights and few operations."""
    wide = LayerShape("wide", "conv2d", (1, 1), (1, 1), 2, 2, 1, (50, 50))
    deep = LayerShape("deep", "dense", in_channels=50, out_channels=50)
    return chain(*(layer(shape, selection((2, 4, 8)), selection((4,), signed=False)) for shape in (wide, deep)))


def test_the_values_are_the_largest_under_both_limits():
    graph = two_layers()
    values = {name: np.array([[0.0], [1.0], [3.0]]) for name in ("wide", "deep")}
    bitops, size = Budget("bitops", limit=10_000 * 4 * 4 + 2500 * 8 * 4), Budget("model_size", limit=1e9)
    assert best_within(*priced_limits(bitops, graph), values) == {"wide": (4, 4), "deep": (8, 4)}
    assert best_within(*priced_limits([bitops, size], graph), values) == {"wide": (4, 4), "deep": (8, 4)}
    size = Budget("model_size", limit=2500 * 4 + 4 * 8)
    assert best_within(*priced_limits([bitops, size], graph), values) == {"wide": (4, 4), "deep": (4, 4)}


def test_budgets_that_exclude_each_other_are_named():
    graph, size = two_layers(), Budget("model_size", limit=2500 * 2 + 4 * 8)
    energy = DearWithFewWeights()
    assert priced_limits([size, Budget(energy, limit=8.0)], graph)[1] == [5032, 8.0]
    with pytest.raises(ValueError, match=r"with `model_size` within budget.* costs 8 units of `rare`, .* is 4\."):
        priced_limits([size, Budget(energy, limit=4.0)], graph)
    with pytest.raises(ValueError, match=r"The budget of `rare` cannot be met.* costs 2 units, the budget is 1\."):
        priced_limits([size, Budget(energy, limit=1.0)], graph)


class DearWithFewWeights(costs.Cost):
    """Fewer bits of the dense layer's kernel cost more."""

    name, unit = "rare", "units"

    def table(self, shape, weight_formats, activation_formats):
        rows = [16.0 / format.bits if shape.kind == "dense" else 0.0 for format in weight_formats]
        return np.repeat(np.array(rows)[:, None], len(activation_formats), axis=1)


def test_coupled_bits_that_cannot_be_had_together_are_refused_before_training():
    shape = LayerShape("one", "dense", in_channels=10, out_channels=10)
    candidates = selection((1, 8)), selection((2, 4), signed=False)
    prices = costs.Table({"one": {(1, 2): 5, (1, 4): 1, (8, 2): 1, (8, 4): 9}}, unit="ms")
    budget = Budget(prices, limit=3)
    assert priced_limits(budget, chain(layer(shape, *candidates)))[1] == [3]
    with pytest.raises(ValueError, match="No assignment costs 3 ms of `table` or less: the cheapest costs 5"):
        priced_limits(budget, chain(dataclasses.replace(layer(shape, *candidates), coupled=True)))


def test_what_is_no_list_of_budgets():
    budget = Budget("bitops", limit=1.0)
    assert budgets_of(budget) == budgets_of([budget]) == (budget,)
    for wrong in (None, [], [budget, "bitops"], "bitops", 3.0):
        with pytest.raises(TypeError, match="a list of `tfmp.Budget`, or one"):
            budgets_of(wrong)
    with pytest.raises(ValueError, match="different names. Received: bitops, bitops"):
        budgets_of([budget, Budget("bitops", like_uniform=(2, 2))])
