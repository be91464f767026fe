"""Tunes width and two precisions for a model size."""

import os
import pathlib

from tfmp.checks import check_choice, check_instance, check_numbers, check_path
from tfmp.reports import ParetoFront
from tfmp.tuner.budget_tuner import BudgetTuner
from tfmp.tuner.dual_precision_hyper_model import DualPrecisionHyperModel
from tfmp.tuner.project import Project
from tfmp.tuner.trial_metrics import quantity_name

PRECISIONS, SIZES = "precisions", "sizes"


class DualPrecision:
    """Selects one precision for depthwise convolutions and one for all others, then trains them at the sizes wanted.

    First every pair is trained at one small size, the width following from the bits; the most accurate pair is then
    trained at the other sizes. The widths of a stage are found before its first training. A selection that was killed
    goes on where it was; trials that failed are recorded.

    Args:
        hypermodel: A `DualPrecisionHyperModel` with all precisions, at the size to compare them.
        sizes: Widths, of which each stands for the size that the network has at 8 bits, for the pair that is chosen.
        directory: Folder of its files.

    Raises:
        TypeError: If `hypermodel` is another.

    Example:
        >>> hypermodel = tfmp.tuner.DualPrecisionHyperModel(build, training=tfmp.tuner.Training(loss))
        >>> selection = tfmp.tuner.DualPrecision(hypermodel, sizes=(0.5, 1.0), directory="selection")
        >>> selection.search(x_train, y_train, validation_data=(x_test, y_test), batch_size=128)
        >>> selection.chosen
        (1, 4)

    Reference: DualPrecision, section 6
    """

    def __init__(self, hypermodel, *, sizes=(0.5, 1.0), directory="."):
        check_instance("hypermodel", hypermodel, DualPrecisionHyperModel, "a `DualPrecisionHyperModel`")
        self.sizes = check_numbers("sizes", sizes, above=0) if sizes else ()
        self.hypermodel, self._directory = hypermodel, os.path.abspath(check_path("directory", directory))
        self._tuners = {}

    def search(self, x=None, y=None, *, stage=None, **arguments):
        """Runs what is not finished.

        Args:
            x: Inputs, or batches of inputs and targets, as in `fit`.
            y: Targets.
            stage: `"precisions"` or `"sizes"` alone, as the workers of a `WorkerPool` need it: one pool for each. None
                runs both.
            **arguments: As in `BudgetTuner.search`, `validation_data` among them.

        Raises:
            ValueError: If the stage is unknown, or that of sizes comes before a pair was trained; or if some precision
                has no width of a size, before anything is trained at that stage.
        """
        check_choice("stage", stage, (None, PRECISIONS, SIZES))
        for each in (PRECISIONS, SIZES) if self.sizes else (PRECISIONS,):
            if stage in (None, each):
                tuner = self.tuner(each)
                tuner.hypermodel.find_widths()
                tuner.search(x, y, **arguments)

    def clear(self):
        """Removes the trials of whatever selection the folder holds, and nothing else.

        Raises:
            ValueError: If a process searches in it.
        """
        # The first stage goes last: it says that there is a selection, also to who is killed in between.
        for folder in sorted(pathlib.Path(self._directory).glob("*"), reverse=True):
            project = Project(folder)
            if (folder.name == PRECISIONS or folder.name.startswith(f"{SIZES}-")) and project.is_experiment:
                project.clear()

    @property
    def chosen(self) -> tuple[int, int | None]:
        """The most accurate pair of the grid: precision of convolutions, and of depthwise ones or None.

        Raises:
            ValueError: If no trial of the grid was completed.
        """
        # Not from the tuner, which in a distributed search is a client of its own chief.
        records = Project(os.path.join(self._directory, PRECISIONS)).records()
        completed = [record for record in records if record.is_completed]
        if not completed:
            reasons = "".join(f" Trial {record.trial_id}: {record.reason}." for record in records[:1])
            raise ValueError(f"No pair of precisions is trained: run the stage {PRECISIONS!r} first.{reasons}")
        best = max(completed, key=_quality).values
        return best["weight_bits"], best.get("depthwise_bits")

    def pareto(self) -> ParetoFront:
        """The finished trials of both stages by size and accuracy, or loss without an accuracy."""
        points = [
            {"stage": stage, **record.as_point()}  # ids count anew in each
            for stage, record in self._records()
            if record.is_completed
        ]
        size = quantity_name(self.hypermodel.size)
        if all("val_accuracy" in point for point in points):
            return ParetoFront(points, size, "val_accuracy")
        return ParetoFront(points, size, "val_loss", y_direction="min")

    def failed(self) -> list:
        """The records of the trials of both stages that failed."""
        return [record for _, record in self._records() if not record.is_completed]

    def _records(self):
        for folder in (pathlib.Path(self._directory) / PRECISIONS, self._sizes_folder()):
            yield from ((folder.name, record) for record in Project(folder).records())

    def _sizes_folder(self):
        return pathlib.Path(self._directory) / "-".join([SIZES, *map(str, self.chosen)])

    def tuner(self, stage) -> BudgetTuner:
        """The tuner of a stage, with its trials and their networks."""
        if stage not in self._tuners:
            hypermodel, folder = self.hypermodel, pathlib.Path(self._directory) / PRECISIONS
            if stage == SIZES:
                hypermodel, folder = hypermodel.of(*self.chosen, self.sizes), self._sizes_folder()
            self._tuners[stage] = BudgetTuner(hypermodel, directory=folder.parent, project_name=folder.name)
        return self._tuners[stage]


def _quality(record):
    return record.metrics["val_accuracy"] if "val_accuracy" in record.metrics else -record.metrics["val_loss"]
