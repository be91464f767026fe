"""keras-tuner oracle that finds the smallest cost at an accuracy by bisection."""

import math
from typing import Any

import keras_tuner

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
