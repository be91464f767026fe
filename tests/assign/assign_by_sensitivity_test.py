import importlib
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmp
from tests.transform.small_networks import inputs_for, residual, trained

WEIGHT_BITS, ACTIVATION_BITS = (2, 4, 8), (3, 8)
MACS = {"inside": 64 * 9 * 4 * 4, "before_addition": 64 * 9 * 4 * 4, "after_addition": 16 * 9 * 4 * 5}


@pytest.fixture(scope="module")
def model():
    return tfmp.relax(trained(residual()), weight_bits=WEIGHT_BITS, activation_bits=ACTIVATION_BITS)


@pytest.fixture(scope="module")
def x(model):
    return inputs_for(model, 96)


@pytest.fixture
def measured_once(monkeypatch):
    """Has the first call measure, and later ones use its scores."""
    module, scores = importlib.import_module("tfmp.assign.assign_by_sensitivity"), []

    def measure(*arguments, **options):
        if not scores:
            scores.append(tfmp.measure_sensitivity(*arguments, **options))
        return scores[0]

    monkeypatch.setattr(module, "measure_sensitivity", measure)


def bitops(bits):
    return sum(MACS[name] * w * a for name, (w, a) in bits.items())


@pytest.mark.slow
@pytest.mark.usefixtures("measured_once")
def test_it_is_the_least_harm_of_all_assignments(model, x):
    before = [np.asarray(v) for v in model.variables]
    budget = tfmp.Budget("bitops", like_uniform=(4, 4))
    found = tfmp.assign.by_sensitivity(model, x, budget)
    harm = found.provenance["sensitivity"]
    tables = {
        name: {
            (w, a): min(harm[name]["weights"][: i + 1]) + min(harm[name]["activations"][: j + 1])
            for (i, w), (j, a) in itertools.product(enumerate(WEIGHT_BITS), enumerate(ACTIVATION_BITS))
        }
        for name in MACS
    }
    every = [
        dict(zip(MACS, pairs, strict=True))
        for pairs in itertools.product(itertools.product(WEIGHT_BITS, ACTIVATION_BITS), repeat=3)
    ]
    sums = [
        sum(tables[name][pair] for name, pair in bits.items())
        for bits in every
        if bitops(bits) <= 16 * sum(MACS.values())
    ]
    assert bitops(found.bits) <= 16 * sum(MACS.values())
    assert sum(tables[name][pair] for name, pair in found.bits.items()) == pytest.approx(min(sums), rel=1e-6)
    assert min(sums) < np.median(sums)
    greedy = tfmp.assign.by_sensitivity(model, x, budget, method="greedy")
    assert bitops(greedy.bits) <= 16 * sum(MACS.values()) and greedy.provenance["method"] == "greedy"
    assert greedy.provenance["sensitivity"].keys() == harm.keys()
    assert min(sums) * (1 - 1e-6) <= sum(tables[name][pair] for name, pair in greedy.bits.items()) < np.median(sums)
    # Few bits harm, 8 bits are what all else has.
    assert all(entry["weights"][0] > 1e-3 and abs(entry["weights"][-1]) < 1e-5 for entry in harm.values())
    assert found.provenance["strategy"] == "sensitivity" and found.provenance["budget"]["like_uniform"] == (4, 4)
    assert found.costs == {"bitops": tfmp.cost(model, "bitops", found)}
    assert tfmp.BitAssignment.from_json(found.to_json()).bits == found.bits
    assert all(np.array_equal(v, value) for v, value in zip(model.variables, before, strict=True))


@pytest.mark.slow
def test_the_tensor_that_matters_gets_the_bits():
    """One of two equal layers feeds the output a thousand times as strongly as the other."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8,))
    x = keras.layers.Dense(8, activation="relu", name="first")(inputs)
    loud = keras.layers.Dense(8, activation="relu", name="loud")(x)
    quiet = keras.layers.Dense(8, activation="relu", name="quiet")(x)
    scaled = keras.layers.Rescaling(1e-3, name="scaled")(quiet)
    x = keras.layers.Dense(3, name="head")(keras.layers.Concatenate(name="both")([loud, scaled]))
    relaxed = tfmp.relax(keras.Model(inputs, x), layers=["loud", "quiet"], weight_bits=(2, 6), activation_bits=(4,))
    budget = tfmp.Budget("bitops", like_uniform=(4, 4))
    data = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    assert tfmp.assign.by_sensitivity(relaxed, data, budget).bits == {"loud": (6, 4), "quiet": (2, 4)}
    labels = tf.data.Dataset.from_tensor_slices((data, data)).batch(32)  # targets are left out
    assert tfmp.assign.by_sensitivity(relaxed, labels, budget).bits == {"loud": (6, 4), "quiet": (2, 4)}


def test_a_model_in_floating_point_gets_the_defaults_of_relax():
    x = inputs = keras.Input((4,))
    for name in ("first", "middle"):
        x = keras.layers.Dense(6, activation="relu", name=name)(x)
    model = trained(keras.Model(inputs, keras.layers.Dense(3, name="head")(x)))
    found = tfmp.assign.by_sensitivity(model, inputs_for(model), tfmp.Budget("bitops", like_uniform=(3, 3)))
    assert set(found) == {"middle"}
    assert {len(entry["weights"]) for entry in found.provenance["sensitivity"].values()} == {4}


def test_bad_arguments(model, x):
    with pytest.raises(ValueError, match="'exact', 'greedy'. Received: 'best'"):
        tfmp.assign.by_sensitivity(model, x, tfmp.Budget("bitops", like_uniform=(4, 4)), method="best")
    with pytest.raises(TypeError, match="tfmp.Budget"):
        tfmp.assign.by_sensitivity(model, x, 1e6)
    with pytest.raises(ValueError, match="The budget of `bitops` cannot be met: the cheapest"):
        tfmp.assign.by_sensitivity(model, x, tfmp.Budget("bitops", like_uniform=(1, 1)))
    fixed = tfmp.fix(model, dict.fromkeys(MACS, (2, 3)))
    with pytest.raises(ValueError, match="no layer whose bits are open"):
        tfmp.assign.by_sensitivity(fixed, x, tfmp.Budget("bitops", like_uniform=(2, 2)))
