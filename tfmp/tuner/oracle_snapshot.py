"""Saves the state of oracles atomically."""

import json
import os
import pathlib

import keras_tuner

from tfmp.files.atomic_file import write_atomically


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
