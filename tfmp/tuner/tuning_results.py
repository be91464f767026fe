"""Results of a tuner."""

import os

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from tfmp.annotations import KerasModel
from tfmp.checks import check_path
from tfmp.reports import ParetoFront, RunReport
from tfmp.reports.run_report import package_versions
from tfmp.tuner.project import Project
from tfmp.tuner.trial_record import TrialRecord


class TuningResults:
    """Reads the folder of a `BudgetTuner`, while it runs or after; the tuner itself can do the same.

    Args:
        folder: Folder of the project, `directory/project_name`.
        safe_mode: As in `tfmp.load_model`, for the networks of trials.

    Raises:
        FileNotFoundError: If the folder is not a project.

    Example:
        >>> print(tfmp.tuner.TuningResults("tuning/budgets").pareto(x="energy_nj"))
    """

    def __init__(self, folder: str | os.PathLike[str], *, safe_mode: bool = True):
        self.project = Project(check_path("folder", folder), safe_mode=safe_mode)
        if not self.project.is_experiment:
            raise FileNotFoundError(
                "Expected the folder of a tuner, `directory/project_name`. Received: "
                f"{os.fspath(folder)!r}, which has no run of a tuner."
            )

    def model(self, trial_id: str) -> KerasModel:
        """Returns the trained network of a trial, for export, simulation or more training.

        Args:
            trial_id: Id of the trial, as in `pareto` and `records`.

        Raises:
            ValueError: If there is no such trial, or it failed; the message gives the reason.
        """
        return self.project.load_trial_model(trial_id)

    def records(self) -> list[TrialRecord]:
        """Returns a `TrialRecord` for every finished trial, failed ones with the reason."""
        return self.project.records()

    def pareto(
        self, x: str = "bitops", y: str = "val_accuracy", *, x_direction: str = "min", y_direction: str = "max"
    ) -> ParetoFront:
        """Returns the completed trials as points of any two quantities that they recorded.

        Args:
            x: Name of the first: `val_<metric>`, `bitops`, `model_size_bits`, `tflite_bytes`, `energy_nj` and
                `latency_cycles` (of a batch of 16 on the simulated Bit Fusion), the cost of a budget, with settings
                that differ from the defaults in its name, `energy_nj:batch=1`; `accuracy_drop`, `seconds`.
            y: Name of the second.
            x_direction: `"min"` if less is better, else `"max"`.
            y_direction: The same for `y`.

        Raises:
            ValueError: If no trial recorded a quantity; the message lists the recorded ones.
        """
        points = [record.as_point() for record in self.records() if record.is_completed]
        known = {name: None for point in points for name, value in point.items() if isinstance(value, int | float)}
        for name in (x, y):
            if points and name not in known:
                raise ValueError(f"Trials recorded {', '.join(known)}. Received: {name!r}")
        points = [point for point in points if x in point and y in point]
        return ParetoFront(points, x, y, x_direction, y_direction)

    def report(self, x: str = "bitops", y: str = "val_accuracy") -> RunReport:
        """Returns the front as a report; `report().to_html("report.html")` writes its page.

        Every point of the page links to the bits of its trial.

        Args:
            x: Name of the first quantity, as in `pareto`; less is better.
            y: Name of the second; more is better.

        Raises:
            ValueError: As in `pareto`.
        """
        return RunReport(self.project.folder.name, versions=package_versions(), front=self.pareto(x, y))

    def to_tensorboard(
        self, log_dir: str | os.PathLike[str], x: str = "bitops", y: str = "val_accuracy"
    ) -> tuple[str, ...]:
        """Writes the completed trials to a new folder, for the HParams view of TensorBoard.

        Each trial is a run: its hyperparameters, strategy and budget, whether it is `on_front`, and every quantity that
        it recorded as a scalar. The scatter plot of `x` and `y` there shows the front.

        Args:
            log_dir: The folder; created if missing.
            x: Name of the first quantity of the front, as in `pareto`; less is better.
            y: Name of the second; more is better.

        Returns:
            The ids of the trials on the front.

        Raises:
            FileExistsError: If the folder has files: TensorBoard would show them as well.
            ValueError: As in `pareto`, or if no trial is completed.
        """
        folder = os.fspath(check_path("log_dir", log_dir))
        if os.path.isdir(folder) and os.listdir(folder):
            raise FileExistsError(f"Expected a new or empty folder. Received: {folder!r}, which has files.")
        on_front = tuple(point["id"] for point in self.pareto(x, y).front)
        completed = [record for record in self.records() if record.is_completed]
        if not completed:
            raise ValueError(f"Expected one completed trial or more. {os.fspath(self.project.folder)!r} has none.")
        settings = {
            record.trial_id: {
                **{name: value for name, value in record.values.items() if isinstance(value, bool | int | float | str)},
                "strategy": record.strategy,
                "budget": record.budget,
                "on_front": record.trial_id in on_front,
            }
            for record in completed
        }
        names = sorted({name for each in settings.values() for name in each})
        metrics = dict.fromkeys((y, x, *(name for record in completed for name in record.metrics)))
        with tf.summary.create_file_writer(folder).as_default():
            hparams.hparams_config(list(map(hparams.HParam, names)), list(map(hparams.Metric, metrics)))
        for record in completed:
            with tf.summary.create_file_writer(os.path.join(folder, record.trial_id)).as_default(step=0):
                hparams.hparams(settings[record.trial_id], trial_id=record.trial_id)
                for name, value in {**record.metrics, "seconds": record.seconds}.items():
                    tf.summary.scalar(name, value)
        return on_front
