import math

import keras_tuner
import pytest
from keras_tuner import oracles

import tfmp
from tests.tuner import tiny_experiment as tiny
from tfmp.tuner import BudgetRange, BudgetTuner

ORACLES = {
    "grid": lambda: oracles.GridSearchOracle("val_accuracy"),
    "random": lambda: oracles.RandomSearchOracle("val_accuracy", max_trials=6, seed=1),
    "bayesian": lambda: oracles.BayesianOptimizationOracle("val_accuracy", max_trials=4, num_initial_points=3, seed=1),
    "hyperband": lambda: oracles.HyperbandOracle("val_accuracy", max_epochs=2, seed=1),
}


def run_oracle(oracle, count=20):
    """Asks an oracle for trials as a tuner does and yields their hyperparameters."""
    for _ in range(count):
        trial = oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            return
        yield trial.hyperparameters
        oracle.update_trial(trial.trial_id, {"val_accuracy": 0.5})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)


@pytest.mark.default_cases("grid", "bayesian")
@pytest.mark.parametrize("name", ORACLES)
def test_budgets_that_no_assignment_meets_are_never_proposed(name, tmp_path):
    budgets = [tfmp.Budget("bitops", like_uniform=(bits, bits)) for bits in (1, 2, 4)]
    choices = {"weight_bits": [(1, 2), (2, 4)], "activation_bits": [(1, 2), (4,)], "learning_rate": [0.1, 0.2]}
    hypermodel = tiny.hypermodel(budgets=budgets, choices=choices)
    tuner = BudgetTuner(hypermodel, ORACLES[name](), directory=tmp_path)
    tuner.oracle.verbose = 0
    seen = []
    for hp in run_oracle(tuner.oracle):
        values = hypermodel.declare(hp)
        assert values["budget"].like_uniform[0] >= math.sqrt(values["weight_bits"][0] * values["activation_bits"][0])
        seen.append((values["weight_bits"], values["activation_bits"], values["learning_rate"], values["budget"]))
    if name == "grid":
        assert hypermodel.space_size == len(seen) == len(set(seen)) == 2 * (3 + 2 + 2 + 1)


def test_nothing_is_tuned_where_no_budget_can_be_met():
    with pytest.raises(ValueError, match=r"None of the budgets can be met.*the cheapest.*weight_bits=\[4\]"):
        tiny.hypermodel(budgets=tiny.BUDGETS[:1], choices={"weight_bits": [(1, 2), (4,)]})


def test_a_range_of_budgets_is_kept_to_what_can_be_met(tmp_path):
    hypermodel = tiny.hypermodel(budgets=BudgetRange("bitops"))
    relaxed = tfmp.relax(tiny.build(), **tiny.BITS)
    low, high = (tfmp.cost(relaxed, "bitops", {"middle": pair}) for pair in ((1, 1), (2, 2)))
    hp = keras_tuner.HyperParameters()
    budget = hypermodel.declare(hp)["budget"]
    assert (hp.space[-1].min_value, hp.space[-1].max_value) == (low, high) and budget.limit == low
    assert hypermodel.space_size is None
    with pytest.raises(ValueError, match="has no feasible budget: the assignments of the network cost from"):
        tiny.hypermodel(budgets=BudgetRange("bitops", high=low / 2))
    with pytest.raises(ValueError, match="`low` must be below `high`"):
        BudgetRange("bitops", 2, 1)


def test_every_choice_arrives_in_the_model(tmp_path):
    hypermodel = tiny.hypermodel(choices={"weight_bits": (2,), "width": [0.5, 1.0], "relaxation": "gumbel", "seed": 7})
    hp = keras_tuner.HyperParameters()
    assert hypermodel.declare(hp)["width"] == 0.5
    hp.values["width"] = "1.0"
    layer = hypermodel.build(hp).get_layer("middle")
    assert layer.units == 8 and layer.weight_bits == (2,) and layer.activation_bits == (1, 2)
    assert (layer.relaxation, layer.seed) == ("gumbel", 7)
    hp.values["width"] = "0.5"
    assert hypermodel.build(hp).get_layer("middle").units == 4


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        pytest.param({"choices": {"bits": 2}}, TypeError, "`choices` can be learning_rate.*Received: bits", id="name"),
        pytest.param({"choices": {"seed": []}}, ValueError, "`seed` must hold at least one value", id="none"),
        pytest.param({"choices": {"seed": [1, 1]}}, ValueError, "Received twice: 1", id="twice"),
        pytest.param({"budgets": ["bitops"]}, TypeError, "must be a list of `tfmp.Budget`", id="budget"),
        pytest.param({"model": 3}, TypeError, "must be a Keras model or a function", id="model"),
        pytest.param(
            {"model": tiny.build(), "choices": {"width": [1.0, 2.0]}}, ValueError, "to be a function of it", id="width"
        ),
    ],
)
def test_wrong_choices(arguments, error, message):
    with pytest.raises(error, match=message):
        tiny.hypermodel(**arguments)
