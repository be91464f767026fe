"""Scores once, budgets at will: from scores that were measured, and from scores that are given."""

import itertools

import keras
import numpy as np
import pytest

import tfmp
from tests.transform.small_networks import inputs_for, residual, trained
from tfmp.assign import measure_sensitivity as measuring
from tfmp.bindings.framework import framework_of
from tfmp.search import SearchedCost

WEIGHT_BITS, ACTIVATION_BITS = (2, 4, 8), (3, 8)
LAYERS = ("inside", "before_addition", "after_addition")


def relaxed(model, **options):
    return tfmp.relax(model, **{"weight_bits": WEIGHT_BITS, "activation_bits": ACTIVATION_BITS, **options})


@pytest.fixture(scope="module")
def model():
    return relaxed(trained(residual()))


@pytest.fixture(scope="module")
def sensitivity(model):
    """Scores that were not measured, so that these tests do not depend on how they are."""
    rng = np.random.default_rng(0)
    scores = {
        name: {
            "weights": dict(zip(WEIGHT_BITS, np.sort(rng.exponential(size=3))[::-1] - 0.01, strict=True)),
            "activations": dict(zip(ACTIVATION_BITS, (rng.exponential(), 0.0), strict=True)),
        }
        for name in LAYERS
    }
    identity = measuring.network_identity(framework_of(model).read(model))
    return tfmp.Sensitivity(scores, "output", "kl", identity, {"num_samples": 9, "digest": "none"}).of(model)


def every_assignment():
    pairs = [*itertools.product(WEIGHT_BITS, ACTIVATION_BITS)]
    return [dict(zip(LAYERS, chosen, strict=True)) for chosen in itertools.product(pairs, repeat=len(LAYERS))]


@pytest.mark.parametrize("cost", ["bitops", "model_size", "tflite_bytes", "energy", "peak_activation_memory"])
def test_the_assignment_is_the_best_of_all_for_any_cost(model, sensitivity, cost):
    priced = SearchedCost(framework_of(model).read(model, weights=False), cost)
    every = [(priced.of(bits), sensitivity.harm(bits)) for bits in every_assignment()]
    for pair in ((2, 3), (4, 3), (4, 8)):
        found = sensitivity.assign(tfmp.Budget(cost, like_uniform=pair))
        limit = priced.uniform(*pair)
        best = min(harm for value, harm in every if value <= limit * (1 + 1e-12))
        assert priced.of(found.bits) <= limit * (1 + 1e-12)
        assert sensitivity.harm(found) == pytest.approx(best, rel=1e-6)
        assert found.provenance["harm"] == sensitivity.harm(found)
    greedy = sensitivity.assign(tfmp.Budget(cost, like_uniform=(4, 3)), method="greedy")
    exact = sensitivity.assign(tfmp.Budget(cost, like_uniform=(4, 3)))
    assert sensitivity.harm(greedy) >= sensitivity.harm(exact) - 1e-9


def test_several_budgets_hold_together(model, sensitivity):
    budgets = [tfmp.Budget("bitops", like_uniform=(4, 3)), tfmp.Budget("model_size", like_uniform=(2, 3))]
    found = sensitivity.assign(budgets)
    assert {weight for weight, _ in found.bits.values()} == {2}
    assert sensitivity.harm(found) >= max(sensitivity.harm(sensitivity.assign(each)) for each in budgets) - 1e-9


def test_the_front_is_the_best_harm_at_each_cost(model, sensitivity):
    front = sensitivity.front("model_size", points=6)
    costs = [point["model_size"] for point in front.front]
    harms = [point["harm"] for point in front.front]
    assert len(costs) >= 4 and costs == sorted(costs) and harms == sorted(harms, reverse=True)
    priced = SearchedCost(framework_of(model).read(model, weights=False), "model_size")
    assert costs[0] == priced.smallest and costs[-1] == priced.uniform(8, 8)
    for point in front.front:
        bits = {name: tuple(pair) for name, pair in point["bits"].items()}
        assert (priced.of(bits), sensitivity.harm(bits)) == (point["model_size"], pytest.approx(point["harm"]))
        cheaper = [sensitivity.harm(each) for each in every_assignment() if priced.of(each) <= point["model_size"]]
        assert point["harm"] == pytest.approx(min(cheaper), abs=1e-6)
    assert tfmp.reports.ParetoFront.from_json(front.to_json()) == front


def test_a_file_holds_everything_but_the_network(model, sensitivity, tmp_path):
    sensitivity.save(tmp_path / "scores.json")
    with pytest.raises(FileExistsError):
        sensitivity.save(tmp_path / "scores.json")
    budget = tfmp.Budget("bitops", like_uniform=(4, 3))
    loaded = tfmp.Sensitivity.load(tmp_path / "scores.json", model)
    assert loaded == sensitivity and loaded.assign(budget) == sensitivity.assign(budget)
    alone = tfmp.Sensitivity.load(tmp_path / "scores.json")
    assert alone == sensitivity and alone.harm(dict.fromkeys(LAYERS, (8, 8))) == pytest.approx(
        sensitivity.harm(dict.fromkeys(LAYERS, (8, 8)))
    )
    with pytest.raises(ValueError, match=r"needs the network.*`tfmp.Sensitivity.load\(path, search_model\)`"):
        alone.assign(budget)
    (tmp_path / "wrong.json").write_text('{"format": "tfmp.Sensitivity", "version": 1}')
    with pytest.raises(ValueError, match="Expected sensitivities in JSON.*without scores"):
        tfmp.Sensitivity.load(tmp_path / "wrong.json")
    assert "inside           W 2: " in str(alone) and "9 samples" in str(alone)


def test_a_relaxation_with_other_settings_is_the_same_network(model, sensitivity):
    again = relaxed(trained(residual()), relaxation="gumbel", seed=7, shared_range=False)
    assert sensitivity.of(again).graph.name == "residual"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: relaxed(trained(residual()), weight_bits=(2, 4)), r"the candidates \(2, 4\) for weights; \(2, 4, 8\)"),
        (lambda: relaxed(trained(residual()), skip="inside"), "measured layers that it does not search: inside"),
        (lambda: relaxed(trained(residual()), quantizer=("linear", "lsq")), "`inside` has another shape or quantizer"),
        (lambda: relaxed(trained(residual(), seed=1)), "weights differ; were they trained"),
    ],
)
def test_another_model_is_refused(sensitivity, other, message):
    with pytest.raises(ValueError, match=f"not of model `residual`: .*{message}.*measure_sensitivity"):
        sensitivity.of(other())


def test_a_search_starts_at_the_best_bits_of_a_budget(sensitivity):
    model, budget = relaxed(trained(residual())), tfmp.Budget("bitops", like_uniform=(4, 3))
    tfmp.initialize_search(model, sensitivity, budget=budget)
    assert tfmp.discretize(model).bits == sensitivity.assign(budget).bits
    with pytest.raises(ValueError, match="needs `budget`.*Received: budget=None"):
        tfmp.initialize_search(model, sensitivity)
    with pytest.raises(ValueError, match="`budget` is for a `tfmp.Sensitivity`. Received: dict. Omit it"):
        tfmp.initialize_search(model, dict.fromkeys(LAYERS, (4, 3)), budget=budget)
    with pytest.raises(ValueError, match="its weights differ"):
        tfmp.initialize_search(relaxed(trained(residual(), seed=1)), sensitivity, budget=budget)


def test_infeasible_budgets_name_the_smallest(sensitivity):
    with pytest.raises(ValueError, match="The budget of `bitops` cannot be met: the cheapest assignment costs"):
        sensitivity.assign(tfmp.Budget("bitops", limit=1.0))
    with pytest.raises(ValueError, match="'exact', 'greedy'. Received: 'best'"):
        sensitivity.assign(tfmp.Budget("bitops", like_uniform=(4, 3)), method="best")
    with pytest.raises(ValueError, match="must name the layers inside"):
        sensitivity.harm({"inside": (4, 3)})
    with pytest.raises(ValueError, match="inside: `bits` must be one of 2, 4, 8. Received: 3"):
        sensitivity.harm(dict.fromkeys(LAYERS, (3, 3)))


def test_too_few_samples(model):
    with pytest.raises(ValueError, match="at least 8 samples. Received: 7.*standard error.*few hundred"):
        tfmp.measure_sensitivity(model, inputs_for(model, 7))


def test_a_killed_measurement_continues(tmp_path, monkeypatch):
    layers = [keras.layers.Dense(6, activation="relu", name=name) for name in ("first", "second", "third", "fourth")]
    model = tfmp.relax(keras.Sequential([keras.Input((4,)), *layers]), weight_bits=(2, 8), activation_bits=(3, 8))
    x = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    whole, backup, measured = tfmp.measure_sensitivity(model, x), tmp_path / "backup.json", []
    of = measuring.OutputScores.of

    def killed(self, layer):
        if len(measured) == 1:
            raise KeyboardInterrupt
        measured.append(layer.name)
        return of(self, layer)

    monkeypatch.setattr(measuring.OutputScores, "of", killed)
    with pytest.raises(KeyboardInterrupt):
        tfmp.measure_sensitivity(model, x, backup=backup)
    with pytest.raises(ValueError, match="of another measurement: data.digest.* Remove it"):
        tfmp.measure_sensitivity(model, x[::-1], backup=backup)
    measured.clear()
    monkeypatch.setattr(
        measuring.OutputScores, "of", lambda self, layer: measured.append(layer.name) or of(self, layer)
    )
    assert tfmp.measure_sensitivity(model, x, backup=backup) == whole
    assert measured == ["third"] and not backup.exists()
