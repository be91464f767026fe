"""Which choices are decided, on a made-up network; that `fit` keeps them is tested with the alternation."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.small_graphs import CONV, DENSE, GROUPED, chain, layer, selection
from tfmp.mixins.decided_choices import DecidedChoices
from tfmp.search.lagrangian import FixedMultiplier, Penalty
from tfmp.search.searched_cost import SearchedCost

BITS = {"conv": ((1, 2, 4), (2, 8)), "grouped": ((2, 3), (4,)), "dense": ((1, 2, 3), (1, 2, 3))}


class Selector:
    def __init__(self, count, logits=None):
        self.logits = (
            logits if logits is not None else (tf.Variable(np.zeros(count, np.float32)) if count > 1 else None)
        )


class SearchedLayer:
    def __init__(self, weights, activations, coupled=False):
        self.weight_selector = Selector(len(weights))
        logits = self.weight_selector.logits if coupled else None
        self.activation_selector = Selector(len(activations), logits)


def network():
    graph = chain(
        *(
            layer(shape, selection(BITS[shape.name][0]), selection(BITS[shape.name][1], signed=False))
            for shape in (CONV, GROUPED, DENSE)
        )
    )
    return SearchedCost(graph, "bitops"), {name: SearchedLayer(*bits) for name, bits in BITS.items()}


def prepared(limit=None, threshold=0.9):
    priced, layers = network()
    decided = DecidedChoices(threshold)
    decided.prepare(layers, [Penalty(priced, FixedMultiplier(0.0), limit=limit)])
    return decided, layers, priced


def probabilities(layers):
    return {
        name: tuple(
            np.ones(1) if s.logits is None else tf.nn.softmax(s.logits).numpy().astype(float)
            for s in (found.weight_selector, found.activation_selector)
        )
        for name, found in layers.items()
    }


def prefer(logits, index, probability):
    (count,) = logits.shape
    others = (1 - probability) / (count - 1)
    logits.assign(np.log([probability if i == index else others for i in range(count)]))


def test_a_choice_rests_where_it_became_certain():
    decided, layers, _ = prepared()
    logits, others = layers["conv"].weight_selector.logits, layers["dense"].weight_selector.logits
    prefer(logits, 1, 0.89)
    assert not decided.step(probabilities(layers)) and len(decided) == 0
    prefer(logits, 1, 0.91)
    decided.step(probabilities(layers))
    assert len(decided) == 1 and decided.state() == [["conv", 0, 1]]
    held = logits.numpy()
    logits.assign_add([3.0, -1.0, 2.0])  # as an optimizer's momentum does
    others.assign_add([1.0, 0.0, 0.0])
    assert decided.step(probabilities(layers)), "logits were written"
    np.testing.assert_array_equal(logits, held)
    np.testing.assert_array_equal(others, [1.0, 0.0, 0.0])


def test_what_is_decided_can_be_met():
    """Brute force: with the decided candidates, some assignment is within the limit; with a refused one, none is."""
    every = list(
        itertools.product(*(itertools.product(*map(lambda bits: range(len(bits)), pair)) for pair in BITS.values()))
    )
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(12):
        priced, _ = network()
        limit = priced.smallest * rng.uniform(1.02, 3)
        decided, layers, _ = prepared(limit=limit)

        def can_be_met(state, limit=limit, priced=priced):
            return any(
                all(indices[list(BITS).index(name)][axis] == index for name, axis, index in state)
                and priced.of(
                    {
                        name: (weights[pair[0]], activations[pair[1]])
                        for (name, (weights, activations)), pair in zip(BITS.items(), indices, strict=True)
                    }
                )
                <= limit
                for indices in every
            )

        wanted = []
        for name, found in layers.items():
            for axis, selector in enumerate((found.weight_selector, found.activation_selector)):
                if selector.logits is not None:
                    index = int(rng.integers(selector.logits.shape[0]))
                    prefer(selector.logits, index, rng.uniform(0.91, 0.99))
                    wanted.append([name, axis, index])
        now = probabilities(layers)
        decided.step(now)
        state = decided.state()
        assert can_be_met(state)
        left = [entry for entry in wanted if entry not in state]
        refused += len(left)
        certainty = {tuple(entry): now[entry[0]][entry[1]].max() for entry in wanted}
        for entry in left:
            surer = [other for other in state if certainty[tuple(other)] >= certainty[tuple(entry)]]
            assert not can_be_met([*surer, entry])
    assert refused > 5


def test_a_state_is_taken_up_again():
    decided, layers, _ = prepared()
    prefer(layers["conv"].weight_selector.logits, 1, 0.95)
    decided.step(probabilities(layers))
    again, others, _ = prepared()
    logits = others["conv"].weight_selector.logits
    logits.assign([0.1, 0.2, 0.1])
    again.restore(decided.state())
    logits.assign([9.0, 0.0, 0.0])
    again.step(probabilities(others))
    np.testing.assert_array_equal(logits, np.float32([0.1, 0.2, 0.1]))


def test_a_coupled_layer_has_one_choice():
    decided, layers, priced = prepared()
    layers["dense"] = SearchedLayer(*BITS["dense"], coupled=True)
    decided.prepare(layers, [Penalty(priced, FixedMultiplier(0.0))])
    prefer(layers["dense"].weight_selector.logits, 2, 0.95)
    decided.step(probabilities(layers))
    assert decided.state() == [["dense", 0, 2]]


@pytest.mark.parametrize("threshold", [0.5, 1.0, 95, -1])
def test_a_threshold_is_a_probability_above_one_half(threshold):
    with pytest.raises(ValueError, match="`freeze_above` must be a finite number above 0.5 and below 1"):
        DecidedChoices(threshold)
