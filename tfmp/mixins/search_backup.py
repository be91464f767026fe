"""What a killed search needs to go on."""

import json
import os
import re
import shutil
import tempfile
import warnings
import zipfile

import numpy as np

from tfmp.types.checks import check_path
from tfmp.types.run_identity import difference_text

_STATE_FILE = "search.json"
_ARRAYS_FILE = "variables.npz"
_FORMAT, _VERSION = "tfmp.search", 1
_EPOCH = re.compile(r"epoch-\d{5}")
_WEIGHTS = re.compile(r"(^| )weights: ")
_KEPT_EPOCHS = 2  # one to go on from where the other is damaged
# What reading a damaged epoch raises.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile)
_WAY_OUT = "give another `backup_dir`, or remove the folder to start anew"


class SearchBackup:
    """A folder that holds the state after the last two complete epochs of a search.

    Args:
        folder: Where; it is made when it is needed.
        overwrite: True to remove the backup of another search instead of refusing it.
        way_out: What else to do about the backup of another search, for the error.
    """

    def __init__(self, folder: str | os.PathLike, *, overwrite: bool = False, way_out: str = _WAY_OUT):
        self.folder = os.path.abspath(os.fsdecode(check_path("backup_dir", folder)))
        self.overwrite, self.way_out = overwrite, way_out

    @classmethod
    def of(cls, folder):
        """Returns the backup itself, or that of a folder; None for None."""
        return folder if folder is None or isinstance(folder, cls) else cls(folder)

    def epochs(self) -> list[str]:
        """Names of the folders of complete epochs, the last one first."""
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        return sorted(filter(_EPOCH.fullmatch, names), reverse=True)

    def save(self, epoch, variables, *, identity, state):
        """Leaves an epoch's state, whole or not at all.

        Args:
            epoch: Number of complete epochs.
            variables: The model's and the optimizer's variables as arrays, in a fixed order.
            identity: What a search that takes it up must share; JSON.
            state: The rest of it; JSON.

        Raises:
            ValueError: If a number of the state is NaN or infinite.
        """
        content = {"format": _FORMAT, "version": _VERSION, "epoch": epoch, "identity": identity, "state": state}
        text = json.dumps(content, allow_nan=False)
        os.makedirs(self.folder, exist_ok=True)
        final = os.path.join(self.folder, f"epoch-{epoch:05d}")
        beside = f"{final}.tmp"
        for leftover in (beside, final):
            shutil.rmtree(leftover, ignore_errors=True)
        os.makedirs(beside)
        np.savez(os.path.join(beside, _ARRAYS_FILE), *variables)
        with open(os.path.join(beside, _STATE_FILE), "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(beside, final)
        names = self.epochs()
        kept = names[names.index(os.path.basename(final)) :][:_KEPT_EPOCHS]
        self._remove(keep=kept)

    def load(self, shapes, *, identity, epochs=None, others=()):
        """Returns `(epoch, variables, state)` of the last complete epoch, or None if there is none.

        If that epoch is damaged, it is the one before, with a warning.

        Args:
            shapes: Shapes of the model's and the optimizer's variables, which the backup must have.
            identity: As in `save`.
            epochs: For how many epochs the search is to run in all; None for any number.
            others: Names in the backup's identity that are not compared where `identity` has them not.

        Raises:
            ValueError: If the backup belongs to another search, the message says in what it differs; if the backup has
                more epochs than wanted, no epoch is intact, or the folder cannot be written.
        """
        self._check_folder()
        names, damaged, content = self.epochs(), [], None
        for name in names:
            try:
                content, variables = _read(os.path.join(self.folder, name))
                break
            except _DAMAGE as error:
                damaged.append(f"{name} is damaged ({type(error).__name__}: {error})")
        if not names:
            return None
        if content is None:
            return self._refuse(f"{'; '.join(damaged)}. No epoch of the backup in {self.folder!r} is intact")
        wanted = json.loads(json.dumps(identity))
        text = difference_text(content["identity"], wanted, others)
        if not text and [variable.shape for variable in variables] != [tuple(shape) for shape in shapes]:
            text = "the shapes of the variables"
        if text:
            return self._refuse(
                f"The backup in {self.folder!r} belongs to another search. {text}. Take it up with what it was started "
                f"with{_about_weights(text)}"
            )
        if epochs is not None and content["epoch"] > epochs:
            return self._refuse(
                f"The backup in {self.folder!r} has {content['epoch']} complete epochs. Expected {epochs} or fewer: "
                "they cannot be undone. Ask for as many epochs or more"
            )
        if damaged:
            warnings.warn(
                f"In the backup {self.folder!r}, {'; '.join(damaged)}. The search goes on from {name}.",
                stacklevel=2,
            )
        return content["epoch"], variables, content["state"]

    def _refuse(self, problem):
        """Raises the error, or removes the epochs if they are to be overwritten."""
        if not self.overwrite:
            raise ValueError(f"{problem}; {self.way_out}.")
        self._remove(keep=())

    def _remove(self, keep):
        for name in os.listdir(self.folder):
            if _EPOCH.fullmatch(name.removesuffix(".tmp")) and name not in keep:
                shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def _check_folder(self):
        try:
            os.makedirs(self.folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise ValueError(
                f"`backup_dir` must be a folder that can be written. Received: {self.folder!r} ({error.strerror})"
            ) from error


def _read(folder):
    with open(os.path.join(folder, _STATE_FILE), encoding="utf-8") as file:
        content = json.load(file)
    if content.get("format") != _FORMAT or content.get("version", 0) > _VERSION:
        raise ValueError(f"expected a backup of version {_VERSION}, received another file's format")
    for key, kind in (("epoch", int), ("identity", dict), ("state", dict)):
        if not isinstance(content[key], kind):
            raise ValueError(f"`{key}` is no {kind.__name__}")
    with np.load(os.path.join(folder, _ARRAYS_FILE)) as arrays:
        return content, [arrays[f"arr_{index}"] for index in range(len(arrays.files))]


def _about_weights(text):
    """New models have other random weights in every process."""
    return " (random weights are the same after `set_random_seed`)" if _WEIGHTS.search(text) else ""
