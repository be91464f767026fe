"""Discretization of models; that the chosen assignments are the best ones is tested with `tfmp.search.assignment`."""

import keras
import numpy as np
import pytest

import tfmp
from tests.transform.small_networks import residual
from tfmp.bindings.framework import framework_of
from tfmp.graph import BitAssignment
from tfmp.simulator import simulate_layer

MACS = {"inside": 64 * 9 * 4 * 4, "before_addition": 64 * 9 * 4 * 4, "after_addition": 16 * 9 * 4 * 5}
WEIGHT_BITS, ACTIVATION_BITS = (1, 2, 4), (2, 4)


@pytest.fixture(scope="module")
def model():
    relaxed = tfmp.relax(residual(), weight_bits=WEIGHT_BITS, activation_bits=ACTIVATION_BITS)
    rng = np.random.default_rng(0)
    for variable in relaxed.trainable_variables:
        if variable.name == "logits":
            variable.assign(rng.normal(size=variable.shape))
    return relaxed


def cost_of(bits):
    return sum(MACS[name] * weights * activations for name, (weights, activations) in bits.items())


@pytest.mark.parametrize("path", ["kernel", "logits"])
def test_a_search_that_diverged_decides_nothing(path, tmp_path):
    """Of logits that are no numbers the first would be the most probable: the fewest bits everywhere."""
    relaxed = tfmp.relax(residual(), weight_bits=(2, 4), activation_bits=(4,), calibration=np.ones((2, 8, 8, 3)))
    fixed = tfmp.fix(relaxed, dict.fromkeys(MACS, (4, 4)))
    layer = relaxed.get_layer("inside")
    variable = layer.kernel if path == "kernel" else layer.weight_selector.logits
    variable.assign(np.full(variable.shape, np.nan, np.float32))
    calls = [lambda strategy=strategy: tfmp.discretize(relaxed, strategy=strategy) for strategy in ("argmax", "sample")]
    calls.append(lambda: tfmp.fix(relaxed, dict.fromkeys(MACS, (4, 4))))
    if path == "kernel":
        fixed.get_layer("inside").kernel.assign(layer.kernel)
        float_model = residual()
        float_model.get_layer("inside").kernel.assign(layer.kernel)
        calls.append(lambda: tfmp.relax(float_model))
        calls += [lambda mode=mode: tfmp.export_tflite(fixed, tmp_path / "m", mode=mode) for mode in ("fast", "float")]
    for call in calls:
        with pytest.raises(ValueError, match=f"NaN or infinite values in `.*{path}` of layer `inside`.*diverged"):
            call()
    assert not list(tmp_path.iterdir())


def test_argmax_takes_the_most_probable_bits(model):
    expected = {
        name: (
            WEIGHT_BITS[int(np.argmax(model.get_layer(name).weight_selector.logits))],
            ACTIVATION_BITS[int(np.argmax(model.get_layer(name).activation_selector.logits))],
        )
        for name in MACS
    }
    assignment = tfmp.discretize(model)
    assert assignment.bits == expected and len(set(expected.values())) > 1
    assert assignment.costs == {"bitops": tfmp.cost(model, "bitops", expected)}
    assert assignment.provenance["strategy"] == "argmax" and assignment.provenance["model"] == "residual"


@pytest.mark.parametrize("pair", [(1, 2), (2, 2), (2, 4), (4, 4)])
def test_budget_is_never_exceeded_and_nearly_spent(model, pair):
    budget = tfmp.Budget("bitops", like_uniform=pair)
    limit = pair[0] * pair[1] * sum(MACS.values())
    assignment = tfmp.discretize(model, strategy="budget", budget=budget)
    assert cost_of(assignment.bits) <= limit
    # No layer can have the next bits within what is left.
    for name, (weights, activations) in assignment.bits.items():
        for wider in [b for b in WEIGHT_BITS if b > weights][:1]:
            assert cost_of({**assignment.bits, name: (wider, activations)}) > limit
        for wider in [b for b in ACTIVATION_BITS if b > activations][:1]:
            assert cost_of({**assignment.bits, name: (weights, wider)}) > limit
    assert assignment.provenance["budget"]["cost"] == "bitops"
    thrifty = tfmp.discretize(model, strategy="budget", budget=budget, spend=False)
    assert cost_of(thrifty.bits) <= cost_of(assignment.bits)


def test_another_cost_is_measured_beside_bitops(model):
    budget = tfmp.Budget("model_size", like_uniform=(2, 2))
    assignment = tfmp.discretize(model, strategy="budget", budget=budget)
    weights = {"inside": 9 * 4 * 4, "before_addition": 9 * 4 * 4, "after_addition": 9 * 4 * 5}
    searched = sum(weights[name] * pair[0] for name, pair in assignment.bits.items())
    assert searched <= 2 * sum(weights.values())
    assert assignment.provenance["budget"]["searched_layers"] == searched
    limit = tfmp.cost(model, "model_size", assignment)
    bounded = tfmp.discretize(model, strategy="budget", budget=tfmp.Budget("model_size", limit=limit))
    assert bounded.costs["model_size"] == tfmp.cost(model, "model_size", bounded) <= limit


def test_layers_that_a_cost_has_no_price_for_stay_out_of_a_relative_budget():
    """The accelerator has no energy for floating point, which first and last layers may keep."""
    images = np.random.default_rng(0).random((8, 8, 8, 1)).astype(np.float32)
    relaxed = tfmp.relax(
        tfmp.networks.get("digits_cnn")(keras), quantizer="hwgq", first_and_last="float", calibration=images
    )
    budget = tfmp.Budget("energy", like_uniform=(2, 2))
    assignment = tfmp.discretize(relaxed, strategy="budget", budget=budget)
    layers = {layer.name: layer for layer in framework_of(relaxed).read(relaxed, weights=False).searched}

    def energy(bits):
        return sum(simulate_layer(layers[name].shape, *pair).energy_nj["total"] for name, pair in bits.items())

    uniform = energy(dict.fromkeys(assignment, (2, 2)))
    assert energy(assignment.bits) <= uniform
    with pytest.raises(ValueError, match="floating point|float"):
        tfmp.discretize(relaxed, strategy="budget", budget=tfmp.Budget("energy", limit=uniform))


@pytest.mark.default_cases("sample")
@pytest.mark.parametrize("strategy", ["sample", "multinomial"])
def test_draws_depend_on_the_seed_alone(model, strategy):
    draws = [tfmp.discretize(model, strategy=strategy, seed=seed).bits for seed in range(12)]
    assert draws == [tfmp.discretize(model, strategy=strategy, seed=seed).bits for seed in range(12)]
    assert len({str(draw) for draw in draws}) > 1
    assert all(w in WEIGHT_BITS and a in ACTIVATION_BITS for draw in draws for w, a in draw.values())


def test_assignment_survives_json_and_fixes_the_model(model, tmp_path):
    assignment = tfmp.discretize(model, strategy="budget", budget=tfmp.Budget("bitops", like_uniform=(2, 2)))
    assignment.to_json(tmp_path / "bits.json")
    again = BitAssignment.from_json(tmp_path / "bits.json")
    assert again.bits == assignment.bits and again.costs == assignment.costs
    fixed = tfmp.fix(model, again)
    assert tfmp.cost(fixed, "bitops") == assignment.costs["bitops"]


@pytest.mark.default_cases("argmax", "budget")
@pytest.mark.parametrize("strategy", ["argmax", "budget", "sample", "multinomial"])
def test_one_candidate_is_the_decision(strategy):
    x = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)
    relaxed = tfmp.relax(residual(), weight_bits=3, activation_bits=4, calibration=x)
    budget = tfmp.Budget("bitops", like_uniform=(3, 4)) if strategy == "budget" else None
    assignment = tfmp.discretize(relaxed, strategy=strategy, budget=budget)
    assert assignment.bits == dict.fromkeys(MACS, (3, 4)), "without the first and the last layer"
    kept = 64 * (64 * 9 * 3 * 4 + 5 * 3)
    assert assignment.costs["bitops"] == kept + 12 * sum(MACS.values()) == tfmp.cost(relaxed, "bitops", assignment)
    fixed = tfmp.fix(relaxed, assignment)
    np.testing.assert_array_equal(fixed(x), relaxed(x))
    wider = tfmp.fix(fixed, dict.fromkeys(MACS, (8, 8)))
    assert tfmp.discretize(wider).bits == dict.fromkeys(MACS, (8, 8))
    with pytest.raises(ValueError, match="budget of `bitops` cannot be met"):
        tfmp.discretize(relaxed, strategy="budget", budget=tfmp.Budget("bitops", like_uniform=(2, 4)))


def test_bad_arguments(model):
    with pytest.raises(ValueError, match="'argmax', 'budget', 'sample', 'multinomial'"):
        tfmp.discretize(model, strategy="wrong")
    with pytest.raises(ValueError, match="tfmp.Budget"):
        tfmp.discretize(model, strategy="budget")
    with pytest.raises(ValueError, match=f"{2 * sum(MACS.values())}"):
        tfmp.discretize(model, strategy="budget", budget=tfmp.Budget("bitops", like_uniform=(1, 1)))
    with pytest.raises(ValueError, match="no layer whose bits are open"):
        tfmp.discretize(residual())
