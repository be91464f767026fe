import json

import pytest
from keras_tuner import oracles

from tests.tuner import tiny_experiment as tiny
from tfmp.tuner import BudgetTuner

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
    if name == "bayesian":  # its process is fitted anew, and may propose other values
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
    import tfmp.tuner.oracle_snapshot as module

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
