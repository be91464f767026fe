"""The project folder of a tuner."""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras_tuner

from tfmp.annotations import KerasModel
from tfmp.bindings.saving.load_model import load_model, save_model, save_weights
from tfmp.checks import check_flag
from tfmp.files.atomic_file import check_space, write_atomically
from tfmp.files.folder_locks import LOCKS, FolderLocks
from tfmp.files.run_identity import difference_text
from tfmp.tuner.trial_record import TrialRecord

_EXPERIMENT, _DATA, _SNAPSHOT = "experiment.json", "data.json", "snapshot.json"
_FORMAT, _VERSION = "tfmp.tuner", 1
# Files that a tuner, keras-tuner and `tfmp tune` write: first the lists of trials, last the identity of the experiment.
_WRITTEN = (
    _SNAPSHOT,
    "trial_*/record.json",
    "trial_*/trial.json",
    "trial_*/fixed.keras",
    "trial_*/*.weights.h5",
    "float/width=*/model.keras",
    "float/width=*/metrics.json",
    "oracle.json",
    "tuner*.json",
    "chief*.json",
    *(f"front.{suffix}" for suffix in ("json", "csv", "png", "svg")),
    _DATA,
    _EXPERIMENT,
)
_FOLDERS = ("trial_*", "float/width=*", "float")


class FolderError(keras_tuner.errors.FatalError, OSError):
    """The folder cannot be written. The search ends, because later trials would fail too."""


class Project:
    """Folder of an experiment: its identity, the float models, and a record and a model of every trial.

    Every file is written atomically.

    Args:
        folder: Path of the folder.
        safe_mode: As in `tfmp.load_model`, for the models in it.

    Attributes:
        locks: Its `FolderLocks`.
    """

    def __init__(self, folder: str | os.PathLike[str], *, safe_mode: bool = True):
        self.folder, self.safe_mode = pathlib.Path(folder).absolute(), check_flag("safe_mode", safe_mode)
        self.locks = FolderLocks(self.folder)

    def open(self, identity: Mapping[str, Any], *, overwrite: bool = False, trial_bytes: int = 0) -> None:
        """Creates the folder, or resumes its experiment.

        Args:
            identity: Identity of the experiment as JSON, by section.
            overwrite: True to remove the files of another experiment.
            trial_bytes: Known size of the trials' files.

        Raises:
            ValueError: If the folder belongs to another experiment or has other files, or is to be overwritten while a
                process searches in it.
            OSError: If it cannot be written, or there is too little space.
        """
        way_out = "Nothing was trained. Choose another `directory`, or free space"
        check_space(self.folder, way_out=way_out)
        if not self.is_experiment:
            self._check_free()
        elif overwrite:
            self.clear()
        check_space(self.folder, trial_bytes, way_out=way_out)
        self._check_identity(_EXPERIMENT, identity)

    def _check_free(self):
        """Raises `ValueError` unless the folder is empty, or only has files of a run killed before its first trial."""
        names = os.listdir(self.folder) if self.folder.exists() else []
        names = sorted(name for name in names if not name.startswith(".") and name != LOCKS)
        if names:
            raise ValueError(
                f"The folder {str(self.folder)!r} has other files: {', '.join(names[:5])}. Choose "
                "another `directory` or `project_name`."
            )

    @property
    def is_experiment(self) -> bool:
        """Whether the folder has an experiment."""
        return (self.folder / _EXPERIMENT).exists()

    def clear(self) -> None:
        """Removes the files of the experiment; other files stay, with their folders.

        Raises:
            ValueError: If it belongs to another program, or a process searches in it.
        """
        self._read(self.folder / _EXPERIMENT)
        with self.locks.searching():
            for pattern in _WRITTEN:  # after a kill in between, it is still an experiment, without trials
                inside, _, name = pattern.rpartition("/")
                half_written = f"{inside}/.{name}.*.tmp*" if inside else f".{name}.*.tmp*"
                for path in [*self.folder.glob(half_written), *self.folder.glob(pattern)]:
                    path.unlink()
            for pattern in _FOLDERS:
                for folder in self.folder.glob(pattern):
                    if folder.is_dir() and not any(folder.iterdir()):
                        folder.rmdir()

    def check_data(self, identity: Mapping[str, Any]) -> None:
        """Raises `ValueError` if the trials so far had other data.

        Args:
            identity: Identity of the data as JSON.
        """
        self._check_identity(_DATA, identity)

    def _check_identity(self, name, identity):
        path, identity = self.folder / name, json.loads(json.dumps(identity))
        with self.locks.hold(path.stem):  # workers also write it
            for beside in self.folder.glob(f".{name}.*.tmp"):
                beside.unlink(missing_ok=True)  # half-written by a process that was killed
            if not path.exists():
                content = {"format": _FORMAT, "version": _VERSION, **identity}
                write_atomically(path, json.dumps(content, indent=1) + "\n", overwrite=True)
                return
        recorded = self._read(path)
        text = difference_text(recorded, identity, others=("format", "version"))
        if text:
            raise ValueError(
                f"The folder {str(self.folder)!r} belongs to another experiment. {text}. Resume the old one with its "
                "settings, give this one another `project_name`, or pass overwrite=True to remove the old one."
            )

    @staticmethod
    def _read(path):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("format") != _FORMAT or record.get("version", 0) > _VERSION:
            raise ValueError(
                f"Expected an experiment of tfmp {_VERSION} in {str(path)!r}. Received another file's format."
            )
        return record

    def trial_folder(self, trial_id: str) -> pathlib.Path:
        """Returns the folder of a trial; creates it if missing."""
        folder = self.folder / f"trial_{trial_id}"  # keras-tuner's name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def begin_trial(self, trial_id: str) -> None:
        """Removes partial files of a killed attempt."""
        _remove_half_written(self.trial_folder(trial_id))

    def record(self, trial_id: str) -> TrialRecord | None:
        """Returns the record of a finished trial, or None."""
        path = self.folder / f"trial_{trial_id}" / "record.json"
        return TrialRecord.read(path) if path.exists() else None

    def write_record(self, record: TrialRecord) -> None:
        """Writes the record of a trial, which finishes it."""
        with _folder_errors():
            record.write(self.trial_folder(record.trial_id) / "record.json")

    def records(self) -> list[TrialRecord]:
        """Returns the records of all finished trials, in the order of their ids."""
        return [TrialRecord.read(path) for path in sorted(self.folder.glob("trial_*/record.json"))]

    def save_trial_model(self, trial_id: str, model: KerasModel) -> None:
        """Saves the network of a trial."""
        with _folder_errors():
            save_model(model, self.trial_folder(trial_id) / "fixed.keras")

    def load_trial_model(self, trial_id: str) -> KerasModel:
        """Returns the network of a completed trial.

        Raises:
            ValueError: If there is no network; the message gives the reason.
        """
        record = self.record(trial_id)
        if record is None:
            known = ", ".join(each.trial_id for each in self.records() if each.is_completed)
            raise ValueError(
                f"Expected the id of a finished trial, of {known or 'none so far'}. Received: {trial_id!r}"
            )
        if not record.is_completed:
            raise ValueError(f"Trial {trial_id} failed and left no model: {record.reason}")
        return self._load(self.trial_folder(trial_id) / "fixed.keras")

    def saved_search(self, trial_id: str) -> pathlib.Path:
        """Returns the path of the weights and logits at the end of a trial's search."""
        return self.trial_folder(trial_id) / "search.weights.h5"

    def save_search(self, trial_id: str, search_model: KerasModel) -> None:
        """Saves weights and logits at the end of a trial's search."""
        with _folder_errors():
            save_weights(search_model, self.saved_search(trial_id))

    def float_model(
        self, width: float, train: Callable[[], KerasModel], evaluate: Callable[[KerasModel], Mapping[str, float]]
    ) -> tuple[KerasModel, Mapping[str, float]]:
        """Returns the float model of a width and its metrics; the first worker trains it, the others wait.

        Args:
            width: The width multiplier.
            train: Function that returns a trained model.
            evaluate: Function of a model that returns its metrics. It may compile the model, which is the saved one,
                never the user's.
        """
        folder = self.folder / "float" / f"width={width:g}"
        folder.mkdir(parents=True, exist_ok=True)
        model_path, metrics_path = folder / "model.keras", folder / "metrics.json"
        with self.locks.hold(f"float-width={width:g}"):
            if not metrics_path.exists():
                _remove_half_written(folder)
                model = train()
                with _folder_errors():
                    save_model(model, model_path)
                metrics = evaluate(self._load(model_path))
                with _folder_errors():
                    write_atomically(metrics_path, json.dumps(metrics, indent=1) + "\n", overwrite=True)
        return self._load(model_path), json.loads(metrics_path.read_text(encoding="utf-8"))

    def _load(self, path):
        return load_model(path, safe_mode=self.safe_mode)


def _remove_half_written(folder):
    for path in [*folder.glob("*.tmp.*"), *folder.glob(".*.tmp")]:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _folder_errors():
    try:
        yield
    except OSError as error:
        raise FolderError(
            error.errno,
            f"Cannot write the result of a trial: {error.strerror or error}. Finished trials are kept: free space and "
            "start again",
        ) from error
