"""keras-tuner oracles by name, bisection among them, and their saved state."""

import json
import math
import os
import pathlib
from typing import Any, TypeVar

import keras_tuner

from tfmp.checks import check_choice, check_instance, check_integer
from tfmp.files.atomic_file import write_atomically

_ORACLES = {
    "grid": keras_tuner.oracles.GridSearchOracle,
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
}


DEFAULT_TRIALS = 10
_Default = TypeVar("_Default", bound=int | None)


def checked_max_trials(max_trials: int | None, default: _Default) -> int | _Default:
    """Returns the largest number of trials, or the default for None.

    Raises:
        ValueError: If it is not an integer, or less than 1.
    """
    return default if max_trials is None else check_integer("max_trials", max_trials, at_least=1)


def new_oracle(
    name: str,
    objective: str | keras_tuner.Objective,
    *,
    max_trials: int | None = None,
    max_epochs: int | None = None,
    seed: int | None = None,
) -> keras_tuner.Oracle:
    """Returns an oracle that continues after any number of failed trials.

    Args:
        name: `"grid"`, `"random"`, `"bayesian"` or `"hyperband"`.
        objective: A `keras_tuner.Objective`, or the name of a metric.
        max_trials: Largest number of trials; None for the whole grid, or 10 with other oracles. Hyperband has none.
        max_epochs: Hyperband's largest number of epochs of a trial; None for keras-tuner's default.
        seed: Integer.

    Raises:
        ValueError: If the name is unknown, the number of trials is invalid, or given for Hyperband.
    """
    check_choice("name", name, _ORACLES)
    check_instance("objective", objective, (str, keras_tuner.Objective), "the name of a metric or an `Objective`")
    if max_epochs is not None:
        check_integer("max_epochs", max_epochs, at_least=1)
    if seed is not None:
        check_integer("seed", seed, at_least=0)
    options = {"seed": seed, "max_consecutive_failed_trials": math.inf}
    if name == "hyperband":
        if max_trials is not None:
            raise ValueError("Hyperband sets the number of trials itself. Omit `max_trials`.")
        if max_epochs is not None:
            options["max_epochs"] = max_epochs
    else:
        options["max_trials"] = checked_max_trials(max_trials, None if name == "grid" else DEFAULT_TRIALS)
    try:
        return _ORACLES[name](objective, **options)
    except ValueError as error:
        raise ValueError(
            "`objective` must be the name of a metric whose direction is known, or a `keras_tuner.Objective`. "
            f"Received: {objective!r}: {error}"
        ) from error


_SAME = 1e-6  # relative: a worker returns its limit in single precision


class BisectionOracle(keras_tuner.Oracle):
    """Finds the smallest budget that keeps the accuracy, by bisection.

    The first trial has the largest budget. If it loses more accuracy than allowed, the search ends. Otherwise each
    trial halves the ratio between the cheapest network that was good enough and the largest budget that was not. If a
    trial fails, a budget near its own is tried once.

    Args:
        quantity: Metric to minimize, `"tflite_bytes"` for example.
        max_accuracy_drop: Largest accuracy drop against the float model.
        tolerance: The search ends when these two are this close, relatively.
        max_trials: Largest number of trials.
    """

    def __init__(self, quantity: str, max_accuracy_drop: float, *, tolerance: float = 0.02, max_trials: int = 10):
        super().__init__(
            objective=keras_tuner.Objective(quantity, "min"),
            max_trials=max_trials,
            max_consecutive_failed_trials=math.inf,
        )
        self.max_accuracy_drop, self.tolerance = max_accuracy_drop, tolerance

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Returns the next budget; keras-tuner calls it."""
        if self.ongoing_trials:  # each limit depends on the result of the one before
            return {"status": "IDLE", "values": None}
        (budget,) = [hp for hp in self.hyperparameters.space if hp.name == "budget"]
        failed = [_limit(trial) for trial in self.trials.values() if trial.status != "COMPLETED"]
        for limit in self._next_limits(budget.min_value, budget.max_value):
            if not any(math.isclose(limit, other, rel_tol=_SAME) for other in failed):
                values = {hp.name: hp.default for hp in self.hyperparameters.space}
                return {"status": "RUNNING", "values": values | {"budget": limit}}
        return {"status": "STOPPED", "values": None}

    def _next_limits(self, low, high):
        """Returns the next limit, and one near it in case a trial failed there; nothing when the search has ended."""
        completed = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        good = [trial for trial in completed if self._is_good(trial)]
        if not completed:
            return high, high / (1 + self.tolerance)
        if not good:
            return ()
        cheapest = min(trial.metrics.get_best_value(self.objective.name) for trial in good)
        low = max([low, *(_limit(trial) for trial in completed if not self._is_good(trial))])
        if cheapest <= low * (1 + self.tolerance):
            return ()
        middle = math.sqrt(low * cheapest)
        return middle, math.sqrt(middle * cheapest)

    def _is_good(self, trial):
        return trial.metrics.get_best_value("accuracy_drop") <= self.max_accuracy_drop

    def score_trial(self, trial: Any) -> None:
        """Scores a trial by its cost; trials that are not good enough come last."""
        super().score_trial(trial)
        if not self._is_good(trial):
            trial.score = math.inf


def _limit(trial):
    return trial.hyperparameters.values["budget"]


class OracleSnapshot:
    """Saves the state of an oracle and all its trials atomically in one file.

    keras-tuner writes `oracle.json` and each `trial.json` in place. A kill can truncate them, or leave a trial that has
    ended among those to run again. These files remain for other readers, but are restored from the snapshot when a
    search resumes.

    Args:
        oracle: A `keras_tuner.Oracle`. Its `save`, which it calls under its lock after every change, then writes the
            snapshot.
        folder: The project's folder.
    """

    def __init__(self, oracle: keras_tuner.Oracle, folder: str | os.PathLike[str]):
        self._oracle, self._folder = oracle, pathlib.Path(folder)
        self._path = self._folder / "snapshot.json"
        self._save_in_place, self._reload = oracle.save, oracle.reload
        oracle.save, oracle.reload = self.save, self.reload

    def save(self) -> None:
        """Writes the snapshot, then keras-tuner's own file."""
        state = self._oracle.get_state()
        # At the end of a trial, `save` is called while the trial is still listed as ongoing.
        settled = {*state["end_order"], *state["retry_queue"]}
        state["ongoing_trials"] = {
            worker: trial_id for worker, trial_id in state["ongoing_trials"].items() if trial_id not in settled
        }
        trials = {trial_id: trial.get_state() for trial_id, trial in self._oracle.trials.items()}
        write_atomically(self._path, json.dumps({"oracle": state, "trials": trials}) + "\n", overwrite=True)
        self._save_in_place()

    def restore(self, tuner_id: str) -> None:
        """Restores keras-tuner's files from the snapshot, before a tuner reads them.

        Args:
            tuner_id: Id of the tuner; it reads a file of this name and, if it exists, that of the oracle.
        """
        tuner_file = self._folder / f"{tuner_id}.json"
        patterns = [f".{name}.*.tmp" for name in (self._path.name, "oracle.json", tuner_file.name)]
        for pattern in [*patterns, "trial_*/.trial.json.*.tmp"]:  # workers may be writing others
            for path in self._folder.glob(pattern):
                path.unlink(missing_ok=True)  # a partial file of a killed process
        if not self._path.exists():  # killed before the first trial
            tuner_file.unlink(missing_ok=True)
            return
        content = json.loads(self._path.read_text(encoding="utf-8"))
        for path in self._folder.glob("trial_*/trial.json"):
            path.unlink()
        for trial_id, state in content["trials"].items():
            folder = self._folder / f"trial_{trial_id}"
            folder.mkdir(exist_ok=True)
            write_atomically(folder / "trial.json", json.dumps(state), overwrite=True)
        write_atomically(self._folder / "oracle.json", json.dumps(content["oracle"]), overwrite=True)
        write_atomically(tuner_file, "{}", overwrite=True)

    def reload(self) -> None:
        """Reads keras-tuner's files."""
        self._reload()
        if isinstance(self._oracle, keras_tuner.oracles.GridSearchOracle):
            _rebuild_grid(self._oracle)


def _rebuild_grid(oracle):
    """Restores what the grid's state omits: the order of its trials, and which of them have no successor yet.

    Without it, a resumed grid ends at once. keras-tuner has no public way to restore either.
    """
    import functools

    values = {trial_id: oracle.trials[trial_id].hyperparameters.values for trial_id in oracle.start_order}
    by_values = functools.cmp_to_key(lambda a, b: oracle._compare(values[a], values[b]))
    for trial_id in sorted(values, key=by_values):
        oracle._ordered_ids.insert(trial_id)
    # All trials: those with a successor are skipped.
    oracle._populate_next = list(oracle.start_order)
