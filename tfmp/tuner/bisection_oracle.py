"""The least cost at which a network is still good enough."""

import math

import keras_tuner


class BisectionOracle(keras_tuner.Oracle):
    """Bisects a budget instead of sweeping it.

    The first trial has the largest budget. If that one loses more accuracy than allowed, nothing can be found and the
    search ends; else each trial halves the ratio between the cheapest network that was good enough and the largest
    budget that was not.

    Args:
        quantity: Metric that is to be small, `"tflite_bytes"`.
        max_accuracy_drop: How far below the float model's a trial's accuracy may be.
        tolerance: The search ends when the two are this close, relatively.
        max_trials: Largest number of trials.
    """

    def __init__(self, quantity, max_accuracy_drop, *, tolerance=0.02, max_trials=10):
        super().__init__(
            objective=keras_tuner.Objective(quantity, "min"),
            max_trials=max_trials,
            max_consecutive_failed_trials=math.inf,
        )
        self.max_accuracy_drop, self.tolerance = max_accuracy_drop, tolerance

    def populate_space(self, trial_id):
        """Returns the next budget; keras-tuner's protocol."""
        if self.ongoing_trials:  # each limit depends on what became of the one before
            return {"status": "IDLE", "values": None}
        (budget,) = [hp for hp in self.hyperparameters.space if hp.name == "budget"]
        limit = self._next_limit(budget.min_value, budget.max_value)
        if limit is None:
            return {"status": "STOPPED", "values": None}
        values = {hp.name: hp.default for hp in self.hyperparameters.space}
        return {"status": "RUNNING", "values": values | {"budget": limit}}

    def _next_limit(self, low, high):
        if not self.trials:
            return high
        good = [trial for trial in self.trials.values() if self._is_good(trial)]
        if not good:
            return None
        cheapest = min(trial.metrics.get_best_value(self.objective.name) for trial in good)
        others = [trial for trial in self.trials.values() if not self._is_good(trial)]
        low = max([low, *(trial.hyperparameters.values["budget"] for trial in others)])
        return math.sqrt(low * cheapest) if cheapest > low * (1 + self.tolerance) else None

    def _is_good(self, trial):
        if trial.status != "COMPLETED":
            return False
        return trial.metrics.get_best_value("accuracy_drop") <= self.max_accuracy_drop

    def score_trial(self, trial):
        """Scores a trial by what it costs; those that are not good enough come last."""
        super().score_trial(trial)
        if not self._is_good(trial):
            trial.score = math.inf
