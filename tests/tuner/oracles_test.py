"""keras-tuner oracles by name, bisection among them, and their saved state."""

import itertools
import json
import math

import keras
import keras_tuner
import pytest
from keras_tuner import oracles

import tfmp
from tests.tuner import tiny_experiment as tiny
from tfmp.tuner import BudgetTuner, new_oracle, register_strategy
from tfmp.tuner.oracles import BisectionOracle


def test_hyperband_has_epochs_of_its_own():
    assert new_oracle("hyperband", "val_accuracy").max_epochs == 100
    assert new_oracle("hyperband", "val_accuracy", max_epochs=6).max_epochs == 6


@pytest.mark.parametrize("name", ["grid", "random", "bayesian"])
def test_the_number_of_trials_is_one_or_more(name):
    assert new_oracle(name, "val_accuracy").max_trials == (None if name == "grid" else 10)
    assert new_oracle(name, "val_accuracy", max_trials=1).max_trials == 1
    for wrong in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"must be a positive integer. Received: {wrong}"):
            new_oracle(name, "val_accuracy", max_trials=wrong)


def test_names():
    with pytest.raises(ValueError, match="must be one of 'grid', 'random'.*Received: 'best'"):
        new_oracle("best", "val_accuracy")
    with pytest.raises(ValueError, match="Omit `max_trials`"):
        new_oracle("hyperband", "val_accuracy", max_trials=3)


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

    model, assignment = strategies.get("uniform")(run)
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


CHOICES = {"learning_rate": [0.1, 0.2, 0.3]}
ORACLES = {
    "grid": lambda: oracles.GridSearchOracle("val_accuracy"),
    "random": lambda: oracles.RandomSearchOracle("val_accuracy", max_trials=4, seed=1),
    "bayesian": lambda: oracles.BayesianOptimizationOracle("val_accuracy", max_trials=5, num_initial_points=3, seed=1),
    "hyperband": lambda: oracles.HyperbandOracle("val_accuracy", max_epochs=3, hyperband_iterations=1, seed=1),
}


class Killed(BaseException):
    """In the place of a signal: nothing catches it."""


@pytest.fixture(scope="module")
def hypermodel():
    return tiny.hypermodel(choices=CHOICES)


def asks(tuner, until=100):
    """Goes through the trials of a tuner, with an accuracy by their values, until it is killed."""
    tuner.oracle.verbose = 0
    seen = []
    for _ in range(until):
        trial = tuner.oracle.create_trial("tuner0")
        if trial.status == "STOPPED":
            return seen
        seen.append((trial.trial_id, dict(trial.hyperparameters.values)))
        if len(seen) == until:
            return seen  # killed within the trial
        score = len(json.dumps(seen[-1][1])) % 7 + float(trial.hyperparameters.values["learning_rate"])
        tuner.oracle.update_trial(trial.trial_id, {"val_accuracy": score})
        trial.status = "COMPLETED"
        tuner.oracle.end_trial(trial)
    return seen


@pytest.mark.parametrize("name", ORACLES)
def test_a_killed_search_goes_on_as_the_unbroken_one(name, hypermodel, tmp_path):
    unbroken = asks(BudgetTuner(hypermodel, ORACLES[name](), directory=tmp_path / "unbroken"))
    assert len(unbroken) >= 4
    before = asks(BudgetTuner(hypermodel, ORACLES[name](), directory=tmp_path), until=3)
    after = asks(BudgetTuner(hypermodel, ORACLES[name](), directory=tmp_path))
    assert before == unbroken[:3]
    assert after[0] == before[-1], "the trial that was running is run again"
    together = before + after[1:]
    if name == "bayesian":  # its Gaussian process is fitted again, and may propose other values
        assert [trial_id for trial_id, _ in together] == [trial_id for trial_id, _ in unbroken]
    else:
        assert sorted(together, key=str) == sorted(unbroken, key=str)
    assert asks(BudgetTuner(hypermodel, ORACLES[name](), directory=tmp_path)) == [], "nothing is left to do"


@pytest.mark.parametrize("point", ["create", "end"])
def test_half_a_file_is_made_anew(point, hypermodel, tmp_path, monkeypatch):
    oracle = ORACLES["grid"]()
    tuner = BudgetTuner(hypermodel, oracle, directory=tmp_path)
    seen = asks(tuner, until=2)
    folder = tmp_path / "budgets"
    for path in [folder / "oracle.json", folder / "tuner0.json", *folder.glob("trial_*/trial.json")]:
        content = path.read_text() if path.exists() else "{}"
        path.write_text(content[: len(content) // 2] if point == "end" else "")
    (folder / "trial_9999").mkdir()
    (folder / "trial_9999" / "trial.json").write_text('{"trial_id"')
    beside, of_worker = folder / ".snapshot.json.0123.tmp", folder / ".data.json.0123.tmp"
    for path in (beside, of_worker):
        path.write_text("{")
    resumed = BudgetTuner(hypermodel, ORACLES["grid"](), directory=tmp_path)
    assert set(resumed.oracle.trials) == {trial_id for trial_id, _ in seen}
    assert asks(resumed, until=2)[0] == seen[-1]
    assert of_worker.exists() and not beside.exists(), "what workers write at this moment stays"
    resumed.project.check_data({})
    assert not of_worker.exists()


@pytest.mark.parametrize("step", range(6))
def test_killed_between_any_two_writes(step, hypermodel, tmp_path, monkeypatch):
    import tfmp.tuner.oracles as module

    writes = iter(range(100))

    def write(*arguments, **options):
        if next(writes) == step:
            raise Killed
        atomically(*arguments, **options)

    atomically = module.write_atomically
    tuner = BudgetTuner(hypermodel, ORACLES["grid"](), directory=tmp_path)
    monkeypatch.setattr(module, "write_atomically", write)
    with pytest.raises(Killed):
        asks(tuner)
    monkeypatch.undo()
    ended = json.loads((tmp_path / "budgets" / "snapshot.json").read_text())["oracle"]["end_order"] if step else []
    after = asks(BudgetTuner(hypermodel, ORACLES["grid"](), directory=tmp_path))
    assert not set(ended) & {trial_id for trial_id, _ in after}, "nothing is repeated"
    assert len(ended) + len(after) == 6
