"""Runs a trial and records its result."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from tfmp.tuner import strategies
from tfmp.tuner.fit_data import FitData
from tfmp.tuner.mixed_precision_hyper_model import MixedPrecisionHyperModel
from tfmp.tuner.project import FolderError, Project
from tfmp.tuner.trial_record import COMPLETED, FAILED, TrialRecord, measured_costs
from tfmp.tuner.trial_run import TrialRun
from tfmp.tuner.trial_space import budget_text


class TrialExecution:
    """Runs trials and saves their records and models in a project.

    Args:
        project: The `Project`.
        hypermodel: The `MixedPrecisionHyperModel`.
        warm_start: Whether searches start from those of neighbouring budgets.
        worker: Id of the tuner.
    """

    def __init__(
        self, project: Project, hypermodel: MixedPrecisionHyperModel, *, warm_start: bool = False, worker: str = ""
    ):
        self._project, self._hypermodel = project, hypermodel
        self._warm_start, self._worker = warm_start, worker

    def run(
        self, trial: Any, data: FitData, *, callbacks: Callable[[], Sequence[Any]], verbose: int = 0
    ) -> dict[str, float]:
        """Runs a trial and returns its metrics.

        Args:
            trial: keras-tuner's `Trial`.
            data: A `FitData`.
            callbacks: Function that returns new callbacks for a `fit`.
            verbose: As in `fit`.

        Raises:
            FolderError: If the project cannot be written; then nothing is recorded.
            Exception: The exception of the training, after it is recorded.
        """
        start = time.time()
        self._project.begin_trial(trial.trial_id)
        keras = self._hypermodel.framework.package
        keras.utils.set_random_seed(self._hypermodel.seed)  # the seed of the float model, independent of the trial's
        raw = dict(trial.hyperparameters.values)
        values = self._hypermodel.declare(trial.hyperparameters.copy())
        known = {
            "trial_id": trial.trial_id,
            "values": raw,
            "strategy": values["strategy"],
            "budget": budget_text(values["budget"]),
            "limit": self._hypermodel.limit(values),
            "structure": self._hypermodel.structure(values),
            "worker": self._worker,
        }
        try:
            model, assignment, metrics = self._train(trial.trial_id, raw, values, data, callbacks, verbose)
        except FolderError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            seconds = round(time.time() - start, 1)
            self._project.write_record(TrialRecord(**known, status=FAILED, reason=reason, seconds=seconds))
            raise
        bits = {} if assignment is None else dict(assignment.bits)
        seconds = round(time.time() - start, 1)
        record = TrialRecord(**known, status=COMPLETED, metrics=metrics, bits=bits, seconds=seconds)
        self._project.save_trial_model(trial.trial_id, model)
        self._project.write_record(record)
        return dict(metrics)

    def _train(self, trial_id, raw, values, data, callbacks, verbose):
        # Hyperband's values: total epochs, and the trial to continue.
        epochs, done = raw.get("tuner/epochs"), raw.get("tuner/initial_epoch", 0)
        run = TrialRun(self._hypermodel, values, data, epochs=epochs, callbacks=callbacks, verbose=verbose)
        float_metrics = {}
        if self._hypermodel.starts_from_float:
            run.float_model, float_metrics = self._float_model(run, values["width"])
        run.keras.utils.set_random_seed(run.seed)  # equal whether this trial or another trained the float model
        if "tuner/trial_id" in raw:
            model = self._project.load_trial_model(raw["tuner/trial_id"])
            assignment = self._project.record(raw["tuner/trial_id"])
            run.train(model, epochs - done)
        else:
            if self._warm_start:
                run.start = self._neighbour(trial_id, values)
                run.keep_search = lambda search_model: self._project.save_search(trial_id, search_model)
            model, assignment = strategies.get(values["strategy"])(run)
        metrics = run.evaluate(model)
        if "val_accuracy" in metrics and float_metrics:
            metrics["accuracy_drop"] = float_metrics["val_accuracy"] - metrics["val_accuracy"]
        return model, assignment, metrics | run.measured | measured_costs(model, run.budget)

    def _float_model(self, run, width):
        def train():
            model = self._hypermodel.new_float_model(width)
            if not self._hypermodel.is_trained:
                run.train_float(model)
            return model

        return self._project.float_model(width, train, run.evaluate)

    def _neighbour(self, trial_id, values):
        """Returns the path of the saved search with the same choices and the nearest budget, or None."""
        limit, neighbours = self._hypermodel.limit(values), []
        for record in self._project.records():
            path = self._project.saved_search(record.trial_id)
            if record.trial_id == trial_id or not (record.is_completed and path.exists()):
                continue
            if record.structure == self._hypermodel.structure(values):
                neighbours.append((abs(math.log(record.limit / limit)), record.trial_id, path))
        return min(neighbours)[-1] if neighbours else None
