"""Records logs and probabilities after each epoch of a search, so that a killed run keeps them."""

import json

import keras

from tfmp.files.atomic_file import write_atomically


class EpochRecords(keras.callbacks.Callback):
    """Records the logs of each epoch and the probabilities after it, also in a file beside the search's backup.

    Put it after the search in the list of callbacks. A search that resumes after its last complete epoch finds the
    records of earlier epochs.

    Args:
        search: The `tfmp.MixedPrecisionSearch`.
        backup_dir: Folder of its backup.

    Attributes:
        evolution: Number of epochs to layer to probabilities, `[weights, inputs]`; 0 is before the first.
        history: Name to its values, one an epoch.

    Raises:
        ValueError: If the records lack an epoch that the backup has.
    """

    def __init__(self, search, backup_dir):
        super().__init__()
        self._search, self._path = search, backup_dir.with_name(f"{backup_dir.name}.epochs.json")
        self._epochs = []

    def on_train_begin(self, logs=None):
        if self._path.exists():
            self._epochs = json.loads(self._path.read_text())

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 0:
            self._epochs = []
            self._record({})
        self._require(epoch)
        del self._epochs[epoch + 1 :]

    def on_train_end(self, logs=None):
        self._require(self.params["epochs"])

    def _require(self, epochs):
        if len(self._epochs) <= epochs:
            raise ValueError(
                f"The backup in {self._path.parent} has {epochs} epochs. Expected as many in {self._path.name}, "
                f"received {max(0, len(self._epochs) - 1)}. Remove both to start again."
            )

    def on_epoch_end(self, epoch, logs=None):
        self._record({name: float(value) for name, value in logs.items()})

    def _record(self, logs):
        pairs = self._search.probabilities().items()
        self._epochs.append({"logs": logs, "probabilities": {name: [t.tolist() for t in pair] for name, pair in pairs}})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, json.dumps(self._epochs), overwrite=True)

    @property
    def evolution(self):
        return {count: epoch["probabilities"] for count, epoch in enumerate(self._epochs)}

    @property
    def history(self):
        return {name: [epoch["logs"][name] for epoch in self._epochs[1:]] for name in self._epochs[-1]["logs"]}
