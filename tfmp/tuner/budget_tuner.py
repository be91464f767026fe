"""The keras-tuner `Tuner` of budgets."""

import contextlib
import copy
import gc
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras_tuner
import tensorflow as tf
from keras_tuner.engine.tuner import maybe_distribute

from tfmp.annotations import KerasModel
from tfmp.checks import check_flag, check_instance, check_number, check_path, check_text
from tfmp.costs import CostLike
from tfmp.files.run_identity import version
from tfmp.tuner.fit_data import FitData
from tfmp.tuner.mixed_precision_hyper_model import MixedPrecisionHyperModel
from tfmp.tuner.oracles import DEFAULT_TRIALS, BisectionOracle, OracleSnapshot, checked_max_trials, new_oracle
from tfmp.tuner.progress import Progress
from tfmp.tuner.project import Project
from tfmp.tuner.trial_execution import TrialExecution
from tfmp.tuner.trial_record import TrialRecord, quantity_name
from tfmp.tuner.trial_space import BudgetRange
from tfmp.tuner.tuning_results import TuningResults
from tfmp.tuner.worker_pool import end_with_pool, is_worker, may_overwrite, tuner_id

_TUNER_ARGUMENTS = ("overwrite", "distribution_strategy", "tuner_id")


class BudgetTuner(keras_tuner.Tuner, TuningResults):
    """Trains a network within each of several budgets, and records accuracy and costs.

    A trial searches bits within its budget, discretizes, fine-tunes, and measures accuracy, bit operations, bytes,
    energy and latency. If the process is killed, start the same program again: it continues after the last finished
    trial. A failed trial is recorded with the reason, and the search continues.

    It is a `keras_tuner.Tuner`: oracles, distributed search and the rest of its API are those of keras-tuner.

    Args:
        hypermodel: A `MixedPrecisionHyperModel`.
        oracle: A `keras_tuner.Oracle`, for random, grid, Bayesian or Hyperband search; None for a grid of all.
        directory: Folder of the projects.
        project_name: Folder of this project in `directory`.
        warm_start: If True, a search starts from the weights and logits of the nearest budget that was searched before
            with the same choices. The result of a trial then depends on earlier trials.
        max_accuracy_drop: With `minimize`, the largest drop of validation accuracy against the float model.
        minimize: A cost or its name, to minimize within this drop, by bisection; the hypermodel needs no `budgets`.
        **kwargs: `max_trials` without an oracle; `safe_mode`, as in `tfmp.load_model`, False if the model contains
            code; and `overwrite`, `distribution_strategy` and `tuner_id` of `keras_tuner.Tuner`.

    Raises:
        ValueError: If the folder belongs to another experiment, or arguments contradict each other.
        OSError: If the folder cannot be written, or lacks space for the models.

    Example:
        >>> tuner = tfmp.tuner.BudgetTuner(hypermodel, directory="tuning")
        >>> tuner.search(x_train, y_train, validation_data=(x_test, y_test), batch_size=64)
        >>> print(tuner.pareto(x="energy_nj", y="val_accuracy"))
    """

    def __init__(
        self,
        hypermodel: MixedPrecisionHyperModel,
        oracle: keras_tuner.Oracle | None = None,
        *,
        directory: str | os.PathLike[str] = ".",
        project_name: str = "budgets",
        warm_start: bool = False,
        max_accuracy_drop: float | None = None,
        minimize: CostLike | None = None,
        **kwargs: Any,
    ):
        check_instance("hypermodel", hypermodel, MixedPrecisionHyperModel, "a `MixedPrecisionHyperModel`")
        if oracle is not None:
            check_instance("oracle", oracle, keras_tuner.Oracle, "a `keras_tuner.Oracle`")
        directory = os.path.abspath(check_path("directory", directory))
        check_text("project_name", project_name)
        check_flag("warm_start", warm_start)
        max_trials, overwrite = kwargs.pop("max_trials", None), kwargs.pop("overwrite", False)
        safe_mode = kwargs.pop("safe_mode", True)
        unknown = [name for name in kwargs if name not in _TUNER_ARGUMENTS]
        if unknown:
            raise TypeError(
                f"Of keras_tuner.Tuner's arguments a BudgetTuner takes {', '.join(_TUNER_ARGUMENTS)}. "
                f"Received: {', '.join(unknown)}. "
                "Loss, metrics and optimizer are those of `tfmp.tuner.Training`."
            )
        if (minimize is None) != (max_accuracy_drop is None):
            raise ValueError(f"`minimize` needs `max_accuracy_drop`. Received: {minimize=}, {max_accuracy_drop=}")
        if max_accuracy_drop is not None:
            check_number("max_accuracy_drop", max_accuracy_drop, at_least=0, at_most=1)
        if oracle is not None and (max_trials is not None or minimize is not None):
            raise ValueError("Give `max_trials` to the oracle, and no oracle with `minimize`. Received both")
        self._max_accuracy_drop = max_accuracy_drop
        self._minimized = None if minimize is None else quantity_name(minimize)
        self._progress: Progress | None = None
        self._warm_start, self._is_idle = warm_start, False
        if minimize is not None and max_accuracy_drop is not None:
            max_trials = checked_max_trials(max_trials, DEFAULT_TRIALS)
            hypermodel.set_budgets(BudgetRange(minimize))
            if not hypermodel.training.is_accuracy_measured:
                raise ValueError(
                    "`minimize` compares accuracies: one of the `metrics` of `tfmp.tuner.Training` must be named "
                    f"'accuracy'. Received: {hypermodel.training.metrics!r}"
                )
            if hypermodel.space.open_names:
                raise ValueError(
                    "`minimize` searches only the budget. Give the hypermodel one value for each of "
                    f"{', '.join(hypermodel.space.open_names)}."
                )
            oracle = BisectionOracle(quantity_name(minimize), max_accuracy_drop, max_trials=max_trials)
        oracle = oracle or new_oracle("grid", _objective(hypermodel.training), max_trials=max_trials)
        self.project = Project(os.path.join(directory, project_name), safe_mode=safe_mode)
        identity = {
            "tfmp": version(),
            "hypermodel": hypermodel.identity(),
            "oracle": _oracle_identity(oracle),
            "warm_start": warm_start,
        }
        end_with_pool()
        self.project.open(identity, overwrite=overwrite and may_overwrite(), trial_bytes=hypermodel.trial_bytes)
        if is_worker():
            (self.project.folder / f"{tuner_id()}.json").unlink(missing_ok=True)
        else:
            OracleSnapshot(oracle, self.project.folder).restore(tuner_id())
        options = {"directory": directory, "project_name": project_name, **kwargs}
        keras_tuner.Tuner.__init__(self, oracle, hypermodel, **options)
        size = hypermodel.space_size if isinstance(oracle, keras_tuner.oracles.GridSearchOracle) else None
        self._num_trials = min((n for n in (size, oracle.max_trials) if n), default=None)

    def _populate_initial_space(self):
        # keras-tuner allows overriding this. It would build models to find hyperparameters, which are known here.
        hp = self.oracle.get_space()
        self.hypermodel.declare(hp)
        self.oracle.update_space(hp)

    def search(
        self,
        x: Any = None,
        y: Any = None,
        *,
        callbacks: Sequence[Any] | Callable[[], Sequence[Any]] = (),
        verbose: int = 1,
        **fit_arguments: Any,
    ) -> None:
        """Runs the trials.

        Args:
            x: Inputs, or batches of inputs and targets, as in `fit`.
            y: Targets.
            callbacks: Callbacks of `fit`, each copied for every fit; or a function that returns new ones.
            verbose: 0 is silent, 1 prints a line per trial, 2 also the output of `fit`.
            **fit_arguments: `validation_data`, by which trials are compared, and other arguments of `fit`.

        Raises:
            ValueError: If there are no validation data, arrays are not finite, do not match the network or differ from
                those of the trials so far, or another process searches in the folder.
        """
        data = FitData(x, y, **fit_arguments)
        data.check(self.hypermodel.float_graph, self.hypermodel.training.loss)
        self.project.check_data(data.identity())
        self._progress = Progress(self.project, self._num_trials, self.oracle.objective) if verbose else None
        with contextlib.nullcontext() if is_worker() else self.project.locks.searching():
            super().search(data, callbacks=callbacks, fit_verbose=2 * (verbose > 1), verbose=0)

    def run_trial(
        self,
        trial: Any,
        data: FitData,
        *,
        callbacks: Sequence[Any] | Callable[[], Sequence[Any]] = (),
        fit_verbose: int = 0,
        verbose: int = 0,
    ) -> dict[str, float]:
        """Runs a trial, or returns the metrics of its record if it is already finished; keras-tuner calls it."""
        # The workers of one multi-worker strategy run a trial together. All others run it one at a time: a chief that
        # was killed may give a trial to a second worker while the first one still runs it.
        together = self.oracle.multi_worker
        with contextlib.nullcontext() if together else self.project.locks.hold(f"trial-{trial.trial_id}"):
            values = trial.hyperparameters.values
            record = self.project.record(trial.trial_id)
            if record is not None and record.is_completed and record.values == values:
                return dict(record.metrics)
            execution = TrialExecution(self.project, self.hypermodel, warm_start=self._warm_start, worker=self.tuner_id)
            # Clears the state of the trial before; inside the scope this would remove the strategy.
            self.hypermodel.framework.package.backend.clear_session()
            gc.collect()
            with maybe_distribute(self.distribution_strategy):
                metrics = execution.run(
                    trial, data, callbacks=lambda: self._new_callbacks(callbacks, trial), verbose=fit_verbose
                )
        self._show_on_tensorboard(metrics, self._new_callbacks(callbacks, trial))
        return metrics

    @staticmethod
    def _show_on_tensorboard(metrics, callbacks):
        """Writes the metrics to TensorBoard, where keras-tuner writes the hyperparameters for the HParams view."""
        for callback in callbacks:
            if type(callback).__name__ == "TensorBoard":
                with tf.summary.create_file_writer(os.fspath(callback.log_dir)).as_default():
                    for name, value in metrics.items():
                        tf.summary.scalar(name, value, step=0)

    def _new_callbacks(self, callbacks, trial):
        """Returns copies of callbacks; TensorBoard writes to a folder of the trial, as in keras-tuner's own tuners."""
        callbacks = callbacks() if callable(callbacks) else copy.deepcopy(list(callbacks))
        self._configure_tensorboard_dir(callbacks, trial)
        return callbacks

    def pre_create_trial(self) -> None:
        """Waits a little if the oracle has nothing to do yet; keras-tuner calls it."""
        if self._is_idle:
            time.sleep(1)
        self._is_idle = True

    def on_trial_begin(self, trial: Any) -> None:
        """Called by keras-tuner before a trial."""
        self._is_idle = False
        super().on_trial_begin(trial)

    def on_trial_end(self, trial: Any) -> None:
        """Called by keras-tuner after a trial."""
        super().on_trial_end(trial)
        if self._progress is not None:
            self._progress.show(trial.trial_id)

    def load_model(self, trial: Any) -> KerasModel:
        """Returns the network of a trial; keras-tuner's `get_best_models` calls it."""
        return self.model(trial.trial_id)

    def smallest(self) -> TrialRecord:
        """Returns the record of the cheapest trial that is accurate enough, after a search with `max_accuracy_drop`.

        Raises:
            ValueError: If the search had no `max_accuracy_drop`, or no trial is accurate enough.
        """
        limit, minimized = self._max_accuracy_drop, self._minimized
        if limit is None or minimized is None:
            raise ValueError("`smallest` needs a tuner with `minimize` and `max_accuracy_drop`.")
        records = self.records()
        drops = [record.metrics["accuracy_drop"] for record in records if record.is_completed]
        good = [r for r in records if r.is_completed and r.metrics["accuracy_drop"] <= limit]
        if not good:
            closest = f"the closest loses {min(drops):.4g}" if drops else "none was completed"
            failed = "".join(f" Trial {r.trial_id} failed: {r.reason}." for r in records if not r.is_completed)
            raise ValueError(
                f"No trial is within {limit:g} of the float model; {closest}.{failed} Train for "
                "longer, offer more bits, or allow more."
            )
        return min(good, key=lambda record: record.metrics[minimized])


def _objective(training):
    if training.is_accuracy_measured:
        return keras_tuner.Objective("val_accuracy", "max")
    return keras_tuner.Objective("val_loss", "min")


def _oracle_identity(oracle):
    objective = oracle.objective
    of_hyperband = ("max_epochs", "factor")
    settings = {name: getattr(oracle, name) for name in of_hyperband if hasattr(oracle, name)}
    return {"type": type(oracle).__name__, "objective": objective.name, "direction": objective.direction, **settings}
