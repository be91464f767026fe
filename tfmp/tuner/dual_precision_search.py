"""Tunes width and two precisions for a model size."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from tfmp.checks import check_choice, check_instance, check_numbers, check_path
from tfmp.reports import ParetoFront
from tfmp.tuner.budget_tuner import BudgetTuner
from tfmp.tuner.dual_precision_hyper_model import DualPrecisionHyperModel
from tfmp.tuner.project import Project
from tfmp.tuner.trial_record import TrialRecord, quantity_name

PRECISIONS, SIZES = "precisions", "sizes"


class DualPrecision:
    """Selects one precision for depthwise convolutions and one for all others, and trains them at several sizes.

    First, every pair is trained at one small size, with the width that follows from the bits. The most accurate pair is
    then trained at the other sizes. The widths of a stage are found before its first training. A killed selection
    resumes where it stopped; failed trials are recorded.

    Args:
        hypermodel: A `DualPrecisionHyperModel` with all precisions, at the size at which they are compared.
        sizes: Sizes for the chosen pair, each given as the width at which the network has this size at 8 bits.
        directory: Folder of its files.

    Raises:
        TypeError: If `hypermodel` is not a `DualPrecisionHyperModel`.

    Example:
        >>> hypermodel = tfmp.tuner.DualPrecisionHyperModel(build, training=tfmp.tuner.Training(loss))
        >>> selection = tfmp.tuner.DualPrecision(hypermodel, sizes=(0.5, 1.0), directory="selection")
        >>> selection.search(x_train, y_train, validation_data=(x_test, y_test), batch_size=128)
        >>> selection.chosen
        (1, 4)

    Reference: DualPrecision, section 6
    """

    def __init__(
        self,
        hypermodel: DualPrecisionHyperModel,
        *,
        sizes: Sequence[float] = (0.5, 1.0),
        directory: str | os.PathLike[str] = ".",
    ):
        check_instance("hypermodel", hypermodel, DualPrecisionHyperModel, "a `DualPrecisionHyperModel`")
        self.sizes = check_numbers("sizes", sizes, above=0) if sizes else ()
        self.hypermodel, self._directory = hypermodel, os.path.abspath(check_path("directory", directory))
        self._tuners: dict[str, BudgetTuner] = {}

    def search(self, x: Any = None, y: Any = None, *, stage: str | None = None, **arguments: Any) -> None:
        """Runs all unfinished trials.

        Args:
            x: Inputs, or batches of inputs and targets, as in `fit`.
            y: Targets.
            stage: `"precisions"` or `"sizes"`, for one `WorkerPool` per stage. None runs both.
            **arguments: As in `BudgetTuner.search`, including `validation_data`.

        Raises:
            ValueError: If the stage is unknown, or is `"sizes"` before a pair was trained; or, before the training of a
                stage, if a precision has no width for a size.
        """
        check_choice("stage", stage, (None, PRECISIONS, SIZES))
        for each in (PRECISIONS, SIZES) if self.sizes else (PRECISIONS,):
            if stage in (None, each):
                tuner = self.tuner(each)
                tuner.hypermodel.find_widths()
                tuner.search(x, y, **arguments)

    def clear(self) -> None:
        """Removes the trials of any selection in the folder, and nothing else.

        Raises:
            ValueError: If a process searches in it.
        """
        # The first stage is removed last: it marks the folder as a selection, also after a kill in between.
        for folder in sorted(pathlib.Path(self._directory).glob("*"), reverse=True):
            project = Project(folder)
            if (folder.name == PRECISIONS or folder.name.startswith(f"{SIZES}-")) and project.is_experiment:
                project.clear()

    @property
    def chosen(self) -> tuple[int, int | None]:
        """The most accurate pair of the grid: precision of convolutions, and of depthwise convolutions or None.

        Raises:
            ValueError: If no trial of the grid was completed.
        """
        # Not from the tuner: in a distributed search it is a client of its chief.
        records = Project(os.path.join(self._directory, PRECISIONS)).records()
        completed = [record for record in records if record.is_completed]
        if not completed:
            reasons = "".join(f" Trial {record.trial_id}: {record.reason}." for record in records[:1])
            raise ValueError(f"No pair of precisions is trained: run the stage {PRECISIONS!r} first.{reasons}")
        best = max(completed, key=_quality).values
        return best["weight_bits"], best.get("depthwise_bits")

    def pareto(self) -> ParetoFront:
        """Returns the finished trials of both stages by size and accuracy, or by loss without an accuracy."""
        points = [
            {"stage": stage, **record.as_point()}  # each stage numbers its trials from the start
            for stage, record in self._records()
            if record.is_completed
        ]
        size = quantity_name(self.hypermodel.size)
        if all("val_accuracy" in point for point in points):
            return ParetoFront(points, size, "val_accuracy")
        return ParetoFront(points, size, "val_loss", y_direction="min")

    def failed(self) -> list[TrialRecord]:
        """Returns the records of the failed trials of both stages."""
        return [record for _, record in self._records() if not record.is_completed]

    def _records(self):
        for folder in (pathlib.Path(self._directory) / PRECISIONS, self._sizes_folder()):
            yield from ((folder.name, record) for record in Project(folder).records())

    def _sizes_folder(self):
        return pathlib.Path(self._directory) / "-".join([SIZES, *map(str, self.chosen)])

    def tuner(self, stage: str) -> BudgetTuner:
        """Returns the tuner of a stage, with its trials and their networks."""
        if stage not in self._tuners:
            hypermodel, folder = self.hypermodel, pathlib.Path(self._directory) / PRECISIONS
            if stage == SIZES:
                hypermodel, folder = hypermodel.of(*self.chosen, self.sizes), self._sizes_folder()
            self._tuners[stage] = BudgetTuner(hypermodel, directory=folder.parent, project_name=folder.name)
        return self._tuners[stage]


def _quality(record):
    return record.metrics["val_accuracy"] if "val_accuracy" in record.metrics else -record.metrics["val_loss"]
