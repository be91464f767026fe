import numpy as np
import pytest

import tfmp
from tests.tuner import tiny_experiment as tiny
from tfmp.bindings.framework import framework_of
from tfmp.search.searched_cost import SearchedCost
from tfmp.tuner import register_strategy, strategies, strategy_names, trial_run
from tfmp.tuner.fit_data import FitData
from tfmp.tuner.trial_run import TrialRun

pytestmark = pytest.mark.usefixtures("eagerly")


class CountedRun(TrialRun):
    """A trial that only counts the epochs it would train."""

    trained = 0

    def search(self, search_model):
        self.trained += self.search_epochs

    def train(self, model, epochs):
        self.trained += epochs


def run_of(budget, **choices):
    hypermodel = tiny.hypermodel(budgets=[budget], search_epochs=2, finetune_epochs=3, choices=choices)
    values = {**hypermodel.space.fixed, "budget": budget}
    (x, y), validation = tiny.data()
    run = CountedRun(hypermodel, values, FitData(x, y, validation_data=validation, batch_size=32))
    run.float_model = tiny.build()
    return run


@pytest.mark.default_cases("mixed", "ilp")
@pytest.mark.parametrize("name", ["mixed", "uniform", "depthwise_8", "random", "greedy", "ilp"])
def test_every_strategy_trains_as_long_and_meets_the_budget(name):
    assert name in strategy_names()
    budget = tfmp.Budget("bitops", like_uniform=(2, 2))
    run = run_of(budget, weight_bits=(1, 2, 4), activation_bits=(1, 2, 4))
    model, assignment = strategies.get(name)(run)
    assert run.trained == 5
    graph = framework_of(model).read(run.relaxed(), weights=False)
    assert SearchedCost(graph, "bitops").of(assignment.bits) <= budget.limit_for(graph)
    layer = model.get_layer("middle")
    assert (layer.weight_bits[0], layer.activation_bits[0]) == assignment["middle"]


def test_uniform_bits_are_the_dearest_within_a_limit():
    run = run_of(tfmp.Budget("bitops", like_uniform=(2, 2)), weight_bits=(1, 2, 4), activation_bits=(1, 2))
    relaxed = run.relaxed()
    by_cost = {tfmp.cost(relaxed, "bitops", {"middle": (w, a)}): (w, a) for w, a in [(1, 1), (2, 1), (4, 1), (4, 2)]}
    for limit, pair in by_cost.items():
        run.budget = tfmp.Budget("bitops", limit=limit * 1.01)
        assert strategies.get("uniform")(run)[1]["middle"] == pair, limit


def test_scores_are_measured_once_for_all_budgets(monkeypatch):
    measured = []
    of = trial_run.measure_sensitivity
    monkeypatch.setattr(
        trial_run, "measure_sensitivity", lambda *args, **options: measured.append(1) or of(*args, **options)
    )
    run = run_of(tfmp.Budget("bitops", like_uniform=(2, 2)), weight_bits=(1, 2), activation_bits=(2, 4))
    assignments = []
    for pair in ((2, 2), (2, 4)):
        run.budget = tfmp.Budget("bitops", like_uniform=pair)
        assignments.append(strategies.get("ilp")(run)[1]["middle"])
    assert measured == [1] and np.prod(assignments[0]) <= 4 and assignments[1] == (2, 4)
    given = tiny.hypermodel(sensitivity=run.hypermodel.sensitivities[0])
    assert given.identity()["sensitivity"] and "sensitivity" not in tiny.hypermodel().identity()
    other = run_of(run.budget, weight_bits=(1, 2), activation_bits=(1, 4))
    other.hypermodel.sensitivities.append(run.hypermodel.sensitivities[0])
    assert strategies.get("greedy")(other)[1]["middle"] == (2, 4) and measured == [1, 1]


def test_a_baseline_of_ones_own_is_a_strategy():
    def widest(problem):
        return {layer.name: (layer.weight.bits[-1], 1) for layer in problem.graph.searched}

    tfmp.assign.register_baseline("widest weights", widest)
    run = run_of(tfmp.Budget("bitops", like_uniform=(2, 2)), weight_bits=(1, 2, 4), activation_bits=(1, 2))
    assert strategies.get("widest weights")(run)[1]["middle"] == (4, 1) and "widest weights" in strategy_names()


def test_names():
    with pytest.raises(ValueError, match="`strategy` must be one of 'mixed', 'uniform'.*Received: 'best'"):
        tiny.hypermodel(strategies=["best"])
    with pytest.raises(ValueError, match="already"):
        register_strategy("mixed", strategies.get("uniform"))
