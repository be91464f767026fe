"""The most probable assignment that keeps what is decided and spends the budget, against brute force."""

import itertools

import numpy as np
import pytest

from tests.small_graphs import CONV, DENSE, chain, layer, selection
from tfmp.search.lagrangian import FixedMultiplier, Penalty
from tfmp.search.remaining_choices import SPENT, RemainingChoices
from tfmp.search.searched_cost import SearchedCost

BITS = {"conv": ((1, 2, 4), (2, 3, 4)), "dense": ((1, 2, 3, 4), (2, 3, 4))}


def network():
    return chain(
        *(
            layer(shape, selection(BITS[shape.name][0]), selection(BITS[shape.name][1], signed=False))
            for shape in (CONV, DENSE)
        )
    )


def random_probabilities(rng):
    return {name: tuple(rng.dirichlet(np.ones(len(bits))) for bits in pair) for name, pair in BITS.items()}


def every_assignment():
    for indices in itertools.product(*(range(len(bits)) for pair in BITS.values() for bits in pair)):
        yield dict(zip([(name, axis) for name in BITS for axis in (0, 1)], indices, strict=True))


def bits_of(candidates):
    return {name: tuple(BITS[name][axis][candidates[name, axis]] for axis in (0, 1)) for name in BITS}


@pytest.mark.parametrize("costs", [["bitops"], ["bitops", "model_size"]])
def test_it_is_the_best_of_all_assignments_that_keep_what_is_decided(costs):
    graph, rng = network(), np.random.default_rng(0)
    priced = [SearchedCost(graph, cost) for cost in costs]
    spends = 0
    for _ in range(10):
        limits = [each.smallest * rng.uniform(1.5, 6) for each in priced]
        free = FixedMultiplier(0.0)
        penalties = [Penalty(each, free, limit=limit) for each, limit in zip(priced, limits, strict=True)]
        remaining, chances = RemainingChoices(penalties), random_probabilities(rng)
        within = [
            each
            for each in every_assignment()
            if all(p.of(bits_of(each)) <= limit for p, limit in zip(priced, limits, strict=True))
        ]
        decided = dict(itertools.islice(within[int(rng.integers(len(within)))].items(), int(rng.integers(3))))
        keeping = [each for each in within if all(each[key] == index for key, index in decided.items())]
        tightest = int(np.argmax([p.expected(chances) / limit for p, limit in zip(priced, limits, strict=True)]))
        floor = SPENT * min(limits[tightest], max(priced[tightest].of(bits_of(each)) for each in within))
        spending = [each for each in keeping if priced[tightest].of(bits_of(each)) >= floor]
        spends += bool(spending)

        def value(candidates, chances=chances):
            return sum(np.log(chances[name][axis][index]) for (name, axis), index in candidates.items())

        found = remaining.candidates(chances, decided)
        assert found in (spending or keeping)
        assert value(found) == pytest.approx(max(map(value, spending or keeping)))
    assert spends > 2


def test_without_a_budget_each_choice_is_the_most_probable_one():
    chances = random_probabilities(np.random.default_rng(1))
    remaining = RemainingChoices([Penalty(SearchedCost(network(), "bitops"), FixedMultiplier(1.0))])
    found = remaining.candidates(chances, {})
    assert found == {(name, axis): int(p.argmax()) for name, pair in chances.items() for axis, p in enumerate(pair)}
