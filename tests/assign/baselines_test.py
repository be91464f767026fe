"""Baselines by name, against all assignments of small networks."""

import itertools

import numpy as np
import pytest

import tfmp
from tests.small_graphs import CONV, DENSE, chain, layer, selection
from tests.transform.small_networks import plain, trained
from tfmp.assign.baselines import BudgetProblem, baseline_named, uniform_assignments
from tfmp.costs import Table
from tfmp.graph import LayerShape
from tfmp.search import SearchedCost

WEIGHT_BITS, INPUT_BITS = (2, 3, 4, 8), (2, 4)
WIDE = LayerShape("wide", "depthwise_conv2d", (3, 3), (1, 1), 8, 8, 8, (5, 6), input_size=(5, 6))
NAMES = ("conv", "wide", "dense")


def network(coupled=False, inputs=INPUT_BITS):
    candidates = selection(WEIGHT_BITS[:2] if coupled else WEIGHT_BITS), selection(inputs, signed=False)
    return chain(*(layer(shape, *candidates) for shape in (CONV, WIDE, DENSE)))


def problem(limit_pair, cost="bitops", graph=None, **options):
    graph = network() if graph is None else graph
    priced = SearchedCost(graph, cost)
    budget = tfmp.Budget(cost, like_uniform=limit_pair)
    return BudgetProblem(graph, [budget], [priced], [priced.uniform(*limit_pair)], **options)


def bits_of(name, given):
    bits = baseline_named(name)(given)
    assert given.priced[0].of(bits) <= given.limits[0] * (1 + 1e-12)
    assert list(bits) == list(NAMES)
    return bits


def test_uniform_bits_are_those_of_the_budget_or_the_most_expensive_within():
    assert set(bits_of("uniform", problem((3, 2))).values()) == {(3, 2)}
    given = problem((5, 3))  # no candidates, but a budget of their cost
    assert set(baseline_named("uniform")(given).values()) == {(5, 3)}
    graph = network()
    priced = SearchedCost(graph, "bitops")
    by_cost = sorted((priced.uniform(*pair), sum(pair), pair) for pair in itertools.product(WEIGHT_BITS, INPUT_BITS))
    for value, _, _ in by_cost:
        limited = BudgetProblem(graph, [tfmp.Budget("bitops", limit=value)], [priced], [value * 1.001])
        within = [row for row in by_cost if row[0] <= value]
        assert set(bits_of("uniform", limited).values()) == {max(within)[-1]}


def test_uniform_bits_are_the_most_where_fewer_cost_more_memory():
    graph = network(inputs=(8,))
    memory = Table({name: {(bits, 8): 10.0 - bits for bits in WEIGHT_BITS} for name in NAMES}, unit="bytes")
    priced = [SearchedCost(graph, cost) for cost in ("model_size", memory)]
    limits = [1.1 * priced[0].uniform(8, 8), 1.01 * priced[1].uniform(3, 8)]
    budgets = [tfmp.Budget(each.cost, limit=limit) for each, limit in zip(priced, limits, strict=True)]
    # 3 bits have the larger share of a budget: that of the memory.
    assert priced[0].uniform(8, 8) / limits[0] < priced[1].uniform(3, 8) / limits[1] < 1
    assert set(bits_of("uniform", BudgetProblem(graph, budgets, priced, limits)).values()) == {(8, 8)}


@pytest.mark.parametrize("cost", ["bitops", "model_size"])
def test_depthwise_kernels_have_8_bits_and_the_others_what_the_budget_allows(cost):
    given = problem((4, 4), cost)
    bits = bits_of("depthwise_8", given)
    assert bits["wide"][0] == 8
    rest = [bits[name][0] for name in ("conv", "dense")]
    wider = {**bits, "conv": (8, bits["conv"][1]), "dense": (8, bits["dense"][1])}
    assert min(rest) >= 3 and given.priced[0].of(wider) > given.limits[0]
    # Nothing that costs more fits any more.
    for name, pair in itertools.product(NAMES, itertools.product(WEIGHT_BITS, INPUT_BITS)):
        if pair != bits[name] and pair >= bits[name] and pair[1] >= bits[name][1]:
            assert given.priced[0].of({**bits, name: pair}) > given.limits[0] * (1 + 1e-12)


def test_depthwise_8_without_room_for_it():
    with pytest.raises(ValueError, match="No assignment with depthwise layers at 8 bits.*the cheapest takes 1.*Raise"):
        baseline_named("depthwise_8")(problem((2, 2)))


def test_without_depthwise_layers_the_rest_is_spent_layer_by_layer():
    graph = chain(*(layer(shape, selection((2, 3)), selection((4,), signed=False)) for shape in (CONV, DENSE)))
    priced = SearchedCost(graph, "bitops")
    limit = priced.of({"conv": (2, 4), "dense": (3, 4)})
    given = BudgetProblem(graph, [tfmp.Budget("bitops", limit=limit)], [priced], [limit])
    assert baseline_named("depthwise_8")(given) == {"conv": (2, 4), "dense": (3, 4)}


def test_ilp_has_the_least_harm_and_greedy_no_less():
    rng = np.random.default_rng(0)
    shape = len(WEIGHT_BITS), len(INPUT_BITS)
    parts = {name: [np.cumsum(rng.exponential(size=size))[::-1] for size in shape] for name in NAMES}
    harms = {name: np.add.outer(*pair) for name, pair in parts.items()}
    given = problem((3, 4), harms=harms)

    def harm(bits):
        return sum(harms[n][WEIGHT_BITS.index(w), INPUT_BITS.index(a)] for n, (w, a) in bits.items())

    pairs = [*itertools.product(WEIGHT_BITS, INPUT_BITS)]
    every = (dict(zip(NAMES, chosen, strict=True)) for chosen in itertools.product(pairs, repeat=3))
    best = min(harm(bits) for bits in every if given.priced[0].of(bits) <= given.limits[0])
    assert harm(bits_of("ilp", given)) == pytest.approx(best)
    assert best <= harm(bits_of("greedy", given)) + 1e-9
    with pytest.raises(ValueError, match="needs scores. Received: none.*measure_sensitivity"):
        baseline_named("ilp")(problem((3, 4)))


def test_random_bits_spend_the_budget_and_depend_on_the_seed():
    draws = [bits_of("random", problem((3, 4), seed=seed, tolerance=0.1)) for seed in range(6)]
    assert len({str(bits) for bits in draws}) > 1


def test_uniform_assignments_leave_tensors_without_a_choice():
    assert len(uniform_assignments(network())) == len(WEIGHT_BITS) * len(INPUT_BITS)
    fixed = uniform_assignments(network(inputs=(8,)))
    assert [bits["conv"] for bits in fixed] == [(b, 8) for b in WEIGHT_BITS]


def test_by_name():
    model = tfmp.relax(trained(plain()), weight_bits=(2, 4, 8), activation_bits=(4, 8))
    budget = tfmp.Budget("bitops", like_uniform=(4, 4))
    assert tfmp.assign.baseline_names()[:5] == ("uniform", "depthwise_8", "greedy", "ilp", "random")
    found = tfmp.assign.by_name("uniform", model, budget)
    assert set(found.bits.values()) == {(4, 4)} and found.provenance["strategy"] == "uniform"
    assert found.costs["bitops"] == tfmp.cost(model, "bitops", found)
    odd = tfmp.assign.by_name("uniform", model, tfmp.Budget("bitops", like_uniform=(3, 5)))
    assert set(odd.bits.values()) == {(3, 5)} and odd.costs["bitops"] == tfmp.cost(model, "bitops", odd)
    assert tfmp.assign.by_name("depthwise_8", model, tfmp.Budget("bitops", like_uniform=(4, 8)))["depthwise"][0] == 8
    with pytest.raises(ValueError, match="`name` must be one of 'uniform', 'depthwise_8'.*Received: 'best'"):
        tfmp.assign.by_name("best", model, budget)
    with pytest.raises(ValueError, match="The budget of `bitops` cannot be met: the cheapest assignment costs"):
        tfmp.assign.by_name("uniform", model, tfmp.Budget("bitops", limit=1.0))
