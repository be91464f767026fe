"""What a killed search needs to go on."""

import json
import os
import shutil
import tempfile

import numpy as np

_STATE_FILE = "search.json"
_ARRAYS_FILE = "variables.npz"
_MARKS = "model, optimizer, budget (or eta), `selection_data` or `freeze_above`"


class SearchBackup:
    """A folder that holds the state behind the last complete epoch of a search.

    Args:
        folder: Where; it is made when it is needed.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = os.fspath(folder)

    def save(self, epoch, variables, *, identity, state):
        """Leaves an epoch's state, whole or not at all.

        Args:
            epoch: Number of complete epochs.
            variables: The model's and the optimizer's variables as arrays, in a fixed order.
            identity: What a search that takes it up must share; JSON.
            state: The rest of it; JSON.
        """
        os.makedirs(self.folder, exist_ok=True)
        beside = os.path.join(self.folder, f"epoch-{epoch:05d}.tmp")
        final = os.path.join(self.folder, f"epoch-{epoch:05d}")
        for leftover in (beside, final):
            shutil.rmtree(leftover, ignore_errors=True)
        os.makedirs(beside)
        np.savez(os.path.join(beside, _ARRAYS_FILE), *variables)
        with open(os.path.join(beside, _STATE_FILE), "w", encoding="utf-8") as file:
            json.dump({**identity, "epoch": epoch, "state": state}, file)
        os.replace(beside, final)
        for name in os.listdir(self.folder):
            if name.startswith("epoch-") and name != os.path.basename(final):
                shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def load(self, shapes, *, identity, marks=_MARKS):
        """Returns `(epoch, variables, state)` of the last complete epoch, or None if there is none.

        Args:
            shapes: Shapes of the model's and the optimizer's variables, which the backup must have.
            identity: As in `save`.
            marks: What tells searches apart, in words for the error.

        Raises:
            ValueError: If the backup belongs to another search, or the folder cannot be written.
        """
        self._check_folder()
        complete = sorted(n for n in os.listdir(self.folder) if n.startswith("epoch-") and not n.endswith(".tmp"))
        if not complete:
            return None
        epoch_folder = os.path.join(self.folder, complete[-1])
        with open(os.path.join(epoch_folder, _STATE_FILE), encoding="utf-8") as file:
            found = json.load(file)
        with np.load(os.path.join(epoch_folder, _ARRAYS_FILE)) as arrays:
            variables = [arrays[f"arr_{index}"] for index in range(len(arrays.files))]
        same_search = all(found.get(key) == value for key, value in identity.items())
        if not same_search or [tuple(v.shape) for v in variables] != [tuple(s) for s in shapes]:
            raise ValueError(
                f"The backup in {self.folder!r} belongs to another {marks}. Expected the one it was written for; give "
                "another `backup_dir`, or remove the folder to start anew."
            )
        return found["epoch"], variables, found["state"]

    def _check_folder(self):
        try:
            os.makedirs(self.folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise ValueError(
                f"`backup_dir` must be a folder that can be written. Received: {self.folder!r} ({error.strerror})"
            ) from error
