import itertools
import math

import keras
import keras_tuner
import pytest

import tfmp
from tests.tuner import tiny_experiment as tiny
from tfmp.tuner import BudgetTuner, register_strategy
from tfmp.tuner.bisection_oracle import BisectionOracle

LOW, HIGH = 100.0, 1600.0


def bisected(drop_of, cost_of, tolerance=0.02, max_trials=30):
    """Limits in the order of the trials, and the best trial's cost. A drop of None is a failure."""
    oracle = BisectionOracle("tflite_bytes", 0.01, tolerance=tolerance, max_trials=max_trials)
    hp = keras_tuner.HyperParameters()
    hp.Float("budget", LOW, HIGH, sampling="log")
    oracle.update_space(hp)
    oracle.save = lambda: None
    oracle._save_trial = lambda trial: None
    oracle.verbose, seen = 0, []
    while (trial := oracle.create_trial("tuner0")).status != "STOPPED":
        limit = trial.hyperparameters.values["budget"]
        assert oracle.create_trial("tuner1").status == "IDLE", "each limit depends on the trial before"
        seen.append(limit)
        drop = drop_of(cost_of(limit))
        if drop is not None:
            oracle.update_trial(trial.trial_id, {"tflite_bytes": cost_of(limit), "accuracy_drop": drop})
        trial.status = "FAILED" if drop is None else "COMPLETED"
        oracle.end_trial(trial)
    return seen, oracle.get_best_trials(1)[0].score


@pytest.mark.parametrize("threshold", [101.0, 150.0, 777.0, 1590.0])
@pytest.mark.parametrize("step", [1, 40])
def test_it_finds_what_a_sweep_finds_in_few_trials(threshold, step):
    def cost_of(limit):
        return max(LOW, math.floor(limit / step) * step)

    def drop_of(cost):
        return 0.0 if cost >= threshold else 0.05

    costs = [cost_of(limit / 8) for limit in range(int(LOW * 8), int(HIGH * 8) + 1)]
    swept = min(cost for cost in costs if cost >= threshold)
    seen, best = bisected(drop_of, cost_of)
    assert swept <= best <= swept * 1.02 + step and len(seen) <= 10
    assert seen[0] == HIGH and all(LOW <= limit <= HIGH for limit in seen)


def test_it_ends_after_one_trial_where_nothing_is_good_enough():
    seen, best = bisected(lambda cost: 0.5, lambda limit: limit)
    assert seen == [HIGH] and best == math.inf


@pytest.mark.parametrize("unlucky", [1, 2, 4])
def test_a_failure_says_nothing_about_its_budget(unlucky):
    count = itertools.count(1)

    def drop_of(cost):
        return None if next(count) == unlucky else 0.0 if cost >= 300 else 0.05

    seen, best = bisected(drop_of, lambda limit: limit)
    assert 300 <= best <= 300 * 1.02 and len(seen) <= 12
    before, after = seen[unlucky - 1 : unlucky + 1]
    assert before != after and before / 2.01 < after < before * 2.01


def test_it_ends_where_a_limit_and_its_neighbour_fail():
    seen, _ = bisected(lambda cost: None if cost < HIGH else 0.0, lambda limit: limit)
    assert len(seen) == 3 and seen[0] == HIGH
    seen = bisected(lambda cost: None, lambda limit: limit, max_trials=5)[0]
    assert seen == [HIGH, HIGH / 1.02]


def by_bits(run):
    """Costs by the bits that the budget buys; only four bits are accurate enough."""
    from tfmp.tuner import strategies

    model, assignment = strategies.uniform(run)
    run.evaluate = lambda model: {"val_accuracy": 1.0 if assignment["middle"][0] == 4 else 0.0}
    return model, assignment


register_strategy("by_bits", by_bits)


def test_the_smallest_network_within_a_drop(tmp_path):
    choices = {"weight_bits": (1, 2, 4), "activation_bits": (4,)}
    hypermodel = tiny.hypermodel(budgets=None, strategies=["by_bits"], choices=choices, finetune_epochs=0)
    tuner = BudgetTuner(hypermodel, directory=tmp_path, minimize="bitops", max_accuracy_drop=0.1, max_trials=2)
    with pytest.raises(ValueError, match="No trial is within 0.1 of the float model; none was completed. Train"):
        tuner.smallest()
    tiny.search(tuner)
    smallest = tuner.smallest()
    relaxed = tfmp.relax(tiny.build(), **choices)
    assert tuple(smallest.bits["middle"]) == (4, 4)
    assert smallest.metrics["bitops"] == tfmp.cost(relaxed, "bitops", {"middle": (4, 4)})
    assert tuner.oracle.get_best_trials()[0].trial_id == smallest.trial_id


def failing(run):
    raise ValueError("the data are gone")


register_strategy("failing", failing)


def test_reasons_of_failures_are_named(tmp_path):
    tuner = BudgetTuner(
        tiny.hypermodel(budgets=None, strategies=["failing"]),
        directory=tmp_path,
        minimize="bitops",
        max_accuracy_drop=0.1,
    )
    tiny.search(tuner)
    assert len(tuner.records()) == 2
    with pytest.raises(
        ValueError, match="none was completed. Trial 00 failed: ValueError: the data are gone. Trial 01"
    ):
        tuner.smallest()


def test_without_an_accuracy_nothing_is_bisected(tmp_path):
    hypermodel = tiny.hypermodel(budgets=None, metrics=(keras.metrics.SparseCategoricalAccuracy(),))
    arguments = {"directory": tmp_path, "max_accuracy_drop": 0.1}
    with pytest.raises(ValueError, match="must be named 'accuracy'. Received: .*Sparse"):
        BudgetTuner(hypermodel, minimize="bitops", **arguments)
    with pytest.raises(ValueError, match="`max_trials` must be a positive integer. Received: 0"):
        BudgetTuner(hypermodel, minimize="bitops", max_trials=0, **arguments)
    assert not list(tmp_path.iterdir())


def test_an_accuracy_of_that_name_is_the_objective(tmp_path):
    metrics = (keras.metrics.SparseCategoricalAccuracy(name="accuracy"),)
    tuner = BudgetTuner(tiny.hypermodel(metrics=metrics), directory=tmp_path)
    assert (tuner.oracle.objective.name, tuner.oracle.objective.direction) == ("val_accuracy", "max")
