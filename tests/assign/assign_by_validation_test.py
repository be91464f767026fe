import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp
from tfmp.assign.assign_by_validation import _drawn
from tfmp.bindings.framework import framework_of

WEIGHT_BITS, ACTIVATION_BITS = (1, 2, 4), (2, 4)
MACS = {"one": 20, "two": 15}
X = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
BUDGET = tfmp.Budget("bitops", like_uniform=(2, 2))


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    hidden = [kl.Dense(units, activation="relu", name=name) for name, units in (("one", 5), ("two", 3))]
    float_model = keras.Sequential(
        [keras.Input((4,)), *hidden, kl.BatchNormalization(name="norm"), kl.Dense(2, name="head")]
    )
    relaxed = tfmp.relax(
        float_model,
        weight_bits=WEIGHT_BITS,
        activation_bits=ACTIVATION_BITS,
        first_and_last="search",
        skip="head",
        calibration=X,
    )
    for name, seed in (("one", 1), ("two", 2)):
        layer, rng = relaxed.get_layer(name), np.random.default_rng(seed)
        for selector in (layer.weight_selector, layer.activation_selector):
            selector.logits.assign(rng.normal(size=len(selector.bits)) / 2)
    return relaxed


def bits_of(network):
    return {name: (network.get_layer(name).weight_bits[0], network.get_layer(name).activation_bits[0]) for name in MACS}


def cost(bits):
    return sum(MACS[name] * weights * activations for name, (weights, activations) in bits.items())


def recorded(assignment):
    return [
        ({name: tuple(pair) for name, pair in entry["bits"].items()}, entry["score"])
        for entry in assignment.provenance["scores"]
    ]


def test_the_best_score_wins_and_all_are_recorded(model):
    scored = []

    def score(network):
        scored.append(bits_of(network))
        return np.float32(-abs(cost(scored[-1]) - 100))

    found = tfmp.assign.by_validation(model, score, samples=8, trials=1, seed=3, calibration=X)
    entries = recorded(found)
    assert [bits for bits, _ in entries] == scored and len({str(bits) for bits in scored}) == len(scored) > 3
    assert [value for _, value in entries] == [-abs(cost(bits) - 100) for bits in scored]
    assert found.bits == max(entries, key=lambda entry: entry[1])[0]
    assert found.costs["bitops"] > cost(found.bits)
    assert tfmp.BitAssignment.from_json(found.to_json()) == found


def test_none_exceeds_the_budget_and_what_is_within_stays(model):
    limit = 4 * sum(MACS.values())
    options = {"samples": 6, "trials": 1, "seed": 3}
    free = [bits for bits, _ in recorded(tfmp.assign.by_validation(model, lambda _: 0.0, **options))]
    kept = [bits for bits, _ in recorded(tfmp.assign.by_validation(model, lambda _: 0.0, budget=BUDGET, **options))]
    assert max(map(cost, free)) > limit >= max(map(cost, kept))
    within = [bits for bits in free if cost(bits) <= limit]
    assert within and all(bits in kept for bits in within)


def test_the_rest_of_the_budget_is_spent_on_request(model):
    budget, spent = tfmp.Budget("bitops", like_uniform=(3, 3)), []
    for spend in (False, True):
        found = tfmp.assign.by_validation(model, lambda _: 0.0, samples=1, trials=10**6, budget=budget, spend=spend)
        assert found.bits == tfmp.discretize(model, strategy="budget", budget=budget, spend=spend).bits
        spent.append(cost(found.bits))
    assert spent[0] < spent[1] <= 9 * sum(MACS.values())


def test_many_trials_are_the_most_probable_bits_scored_once(model):
    calls = []
    found = tfmp.assign.by_validation(model, lambda network: calls.append(network) or 1.0, samples=3, trials=10**6)
    assert len(calls) == 1 and found.bits == tfmp.discretize(model).bits


def test_draws_follow_the_probabilities(model):
    graph, rng = framework_of(model).read(model), np.random.default_rng(0)
    counts = np.zeros(len(WEIGHT_BITS))
    for _ in range(2000):
        counts[np.argmax(_drawn(graph, rng, 1).layers["two"].weight.probabilities)] += 1
    np.testing.assert_allclose(counts / 2000, graph.layers["two"].weight.probabilities, atol=0.04)


def test_both_tensors_of_a_coupled_layer_are_drawn_together():
    float_model = keras.Sequential([keras.Input((4,)), kl.Dense(3, name="one"), kl.Dense(2, name="head")])
    options = {"weight_bits": (1, 2, 4), "activation_bits": (2, 3, 4), "coupled": True}
    relaxed = tfmp.relax(float_model, first_and_last="search", skip="head", **options)
    found = tfmp.assign.by_validation(relaxed, lambda _: 0.0, samples=4, trials=1)
    pairs = [bits["one"] for bits, _ in recorded(found)]
    assert len(pairs) > 1 and set(pairs) <= {(1, 2), (2, 3), (4, 4)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "`samples` must be a positive integer"),
        ({"trials": 1.5}, "`trials` must be a positive integer"),
        ({"score": lambda _: float("nan")}, "finite number.*Received: nan"),
        ({"score": lambda _: None}, "finite number.*Received: None"),
        ({"budget": tfmp.Budget("bitops", like_uniform=(1, 1))}, "cannot be met"),
    ],
    ids=["samples", "trials", "nan", "none", "budget"],
)
def test_errors(model, options, message):
    with pytest.raises(ValueError, match=message):
        tfmp.assign.by_validation(model, **{"score": lambda _: 0.0, **options})
