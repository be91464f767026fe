"""Saves the state of oracles atomically."""

import json
import pathlib

import keras_tuner

from tfmp.files.atomic_file import write_atomically


class OracleSnapshot:
    """Keeps the state of an oracle and of all its trials in one file that is always whole.

    keras-tuner writes `oracle.json` and each `trial.json` in place, where a kill leaves half a file, and a trial that
    has ended among those to be run again. Its files remain, for whoever reads them, but are made anew from the snapshot
    when a search is taken up.

    Args:
        oracle: A `keras_tuner.Oracle`; its `save`, which it calls under its lock after every change, writes the
            snapshot from now on.
        folder: The project's folder.
    """

    def __init__(self, oracle, folder):
        self._oracle, self._folder = oracle, pathlib.Path(folder)
        self._path = self._folder / "snapshot.json"
        self._save_in_place, self._reload = oracle.save, oracle.reload
        oracle.save, oracle.reload = self.save, self.reload

    def save(self):
        """Writes the snapshot, then keras-tuner's own file."""
        state = self._oracle.get_state()
        # At the end of a trial it is saved while the trial still counts as ongoing.
        settled = {*state["end_order"], *state["retry_queue"]}
        state["ongoing_trials"] = {
            worker: trial_id for worker, trial_id in state["ongoing_trials"].items() if trial_id not in settled
        }
        trials = {trial_id: trial.get_state() for trial_id, trial in self._oracle.trials.items()}
        write_atomically(self._path, json.dumps({"oracle": state, "trials": trials}) + "\n", overwrite=True)
        self._save_in_place()

    def restore(self, tuner_id):
        """Makes keras-tuner's files what the snapshot says, before a tuner reads them.

        Args:
            tuner_id: Id of the tuner; it reads a file of that name and, if there is one, the oracle's.
        """
        tuner_file = self._folder / f"{tuner_id}.json"
        own = [f".{name}.*.tmp" for name in (self._path.name, "oracle.json", tuner_file.name)]
        for pattern in [*own, "trial_*/.trial.json.*.tmp"]:  # workers write others at this moment
            for path in self._folder.glob(pattern):
                path.unlink(missing_ok=True)  # half-written by a process that was killed
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

    def reload(self):
        """Reads keras-tuner's files."""
        self._reload()
        if isinstance(self._oracle, keras_tuner.oracles.GridSearchOracle):
            _rebuild_grid(self._oracle)


def _rebuild_grid(oracle):
    """Puts back what the grid's state leaves out: the order of its trials, and whose successor is to be tried.

    Without it a grid that is taken up ends at once. keras-tuner has no public way to either.
    """
    import functools

    values = {trial_id: oracle.trials[trial_id].hyperparameters.values for trial_id in oracle.start_order}
    by_values = functools.cmp_to_key(lambda a, b: oracle._compare(values[a], values[b]))
    for trial_id in sorted(values, key=by_values):
        oracle._ordered_ids.insert(trial_id)
    # All of them: those whose successor was tried are passed over.
    oracle._populate_next = list(oracle.start_order)
