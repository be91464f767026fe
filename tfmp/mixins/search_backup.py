"""Saves and restores the state of a search."""

import contextlib
import json
import math
import os
import re
import shutil
import warnings
import weakref
import zipfile
from typing import Any

import numpy as np

from tfmp.checks import check_path
from tfmp.files.atomic_file import check_space, new_folder
from tfmp.files.folder_locks import FolderLocks
from tfmp.files.run_identity import difference_text
from tfmp.graph.graph_identity import compared_settings

_STATE_FILE = "search.json"
_ARRAYS_FILE = "variables.npz"
_FORMAT, _VERSION = "tfmp.search", 1
_EPOCH, _HALF_WRITTEN = re.compile(r"epoch-\d{5}"), re.compile(r"epoch-\d{5}\.tmp")
_WEIGHTS = re.compile(r"(^| )weights: ")
VALUE_BYTES = 4
_KEPT_EPOCHS = 2  # the second one is a reserve if the first is damaged
# Errors of reading a damaged epoch.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile)
_HOLDERS: weakref.WeakValueDictionary[str, Any] = (
    weakref.WeakValueDictionary()
)  # maps a folder to the backup of this process that holds its lock
_WAY_OUT = "give another `backup_dir`, or remove the folder to start again"


class SearchBackup:
    """A folder with the state after the last two complete epochs of a search.

    Args:
        folder: Path of the folder; created when needed.
        overwrite: True to remove the backup of another search instead of raising an error.
        way_out: Advice in the error about the backup of another search.
    """

    def __init__(self, folder: str | os.PathLike, *, overwrite: bool = False, way_out: str = _WAY_OUT):
        self.folder = os.path.abspath(os.fsdecode(check_path("backup_dir", folder)))
        self.overwrite, self.way_out = overwrite, way_out
        self._held = contextlib.ExitStack()

    @classmethod
    def of(cls, folder: "SearchBackup | str | os.PathLike[str] | None") -> "SearchBackup | None":
        """Returns a backup itself, or the one of a folder; None for None."""
        return folder if folder is None or isinstance(folder, SearchBackup) else cls(folder)

    def epoch_folder(self, epoch: int) -> str:
        """Returns the folder of the state after a number of complete epochs."""
        return os.path.join(self.folder, f"epoch-{epoch:05d}")

    def epochs(self) -> list[str]:
        """Returns the names of the folders of complete epochs, the last one first."""
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        return sorted(filter(self._is_epoch, names), reverse=True)

    def _is_epoch(self, name):
        """Returns True if a name is that of the folder of an epoch, damaged or not."""
        files = (os.path.join(self.folder, name, file) for file in (_STATE_FILE, _ARRAYS_FILE))
        return bool(_EPOCH.fullmatch(name)) and any(map(os.path.exists, files))

    def needed_bytes(self, num_values: int) -> int:
        """Returns the bytes that a search needs on disk, for the epochs that are kept and the one being written.

        Args:
            num_values: Number of values in the variables of an epoch.
        """
        return max(1, _KEPT_EPOCHS + 1 - len(self.epochs())) * VALUE_BYTES * num_values

    def save(self, epoch, variables, *, identity, state):
        """Writes the state of an epoch atomically.

        Args:
            epoch: Number of complete epochs.
            variables: The model's and the optimizer's variables as arrays, in a fixed order.
            identity: Identity of the search, as JSON; only a search with an equal one resumes it.
            state: The rest of the state, as JSON.

        Raises:
            ValueError: If a number of the state is NaN or infinite, or a search of this process has taken over.
            OSError: If it cannot be written. Earlier epochs are kept.
        """
        content = {"format": _FORMAT, "version": _VERSION, "epoch": epoch, "identity": identity, "state": state}
        text = json.dumps(content, allow_nan=False)
        if _HOLDERS.get(self.folder, self) is not self:
            raise ValueError(f"Another search of this process has taken over the backup in {self.folder!r}.")
        final = self.epoch_folder(epoch)
        if os.path.basename(final) in self.epochs():
            shutil.rmtree(final)
        with new_folder(final) as beside:
            np.savez(os.path.join(beside, _ARRAYS_FILE), *variables)
            with open(os.path.join(beside, _STATE_FILE), "w", encoding="utf-8") as file:
                file.write(text)
        names = self.epochs()
        kept = names[names.index(os.path.basename(final)) :][:_KEPT_EPOCHS]
        self._remove(keep=kept)

    def load(self, shapes, *, identity, epochs=None, others=(), upgrade=dict):
        """Returns `(epoch, variables, state)` of the last complete epoch, or None if there is none.

        If that epoch is damaged, the one before is used, with a warning. The folder is then locked for this process
        until `release`; an interrupted search of the same process passes its lock on.

        Args:
            shapes: Expected shapes of the model's and the optimizer's variables.
            identity: As in `save`.
            epochs: Total number of epochs of the search; None for any number.
            others: Names in the backup's identity that are not compared if `identity` lacks them.
            upgrade: Function of the backup's identity that returns it as this version writes it.

        Raises:
            ValueError: If the backup belongs to another search (the message names the difference) or has more epochs
                than requested, no epoch is intact, the folder cannot be written or has no space, or another process
                uses it.
        """
        self._check_folder(shapes)
        self._lock()
        try:
            return self._load(shapes, identity, epochs, others, upgrade)
        except BaseException:
            self.release()
            raise

    def _load(self, shapes, identity, epochs, others, upgrade):
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
        recorded = upgrade(content["identity"])
        if "model" in recorded:
            recorded = {**recorded, "model": compared_settings(recorded["model"])}
        text = difference_text(recorded, wanted, others)
        if not text and [variable.shape for variable in variables] != [tuple(shape) for shape in shapes]:
            text = "the shapes of the variables"
        if text:
            return self._refuse(
                f"The backup in {self.folder!r} belongs to another search. {text}. Resume it with the arguments of its "
                f"start{_about_weights(text)}"
            )
        if epochs is not None and content["epoch"] > epochs:
            return self._refuse(
                f"The backup in {self.folder!r} has {content['epoch']} complete epochs. Expected {epochs} or fewer: "
                "epochs cannot be undone. Set `epochs` to this number or more"
            )
        if damaged:
            warnings.warn(
                f"In the backup {self.folder!r}, {'; '.join(damaged)}. The search resumes from {name}.",
                stacklevel=2,
            )
        return content["epoch"], variables, content["state"]

    def _refuse(self, problem):
        """Raises the error or, if `overwrite`, removes the epochs."""
        if not self.overwrite:
            raise ValueError(f"{problem}; {self.way_out}.")
        self._remove(keep=())

    def remove(self) -> None:
        """Removes the backup, and its folder if it is then empty."""
        self._remove(keep=())
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)

    def _remove(self, keep):
        half_written = filter(_HALF_WRITTEN.fullmatch, os.listdir(self.folder))
        for name in {*self.epochs(), *half_written} - set(keep):
            shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)

    def _lock(self):
        holder = _HOLDERS.get(self.folder)
        if holder is None:
            self._held.enter_context(FolderLocks(self.folder).searching())
        else:
            self._held = holder._held.pop_all()
        _HOLDERS[self.folder] = self

    def release(self) -> None:
        """Releases the lock of the folder, so that other processes can use it."""
        if _HOLDERS.get(self.folder) is self:
            del _HOLDERS[self.folder]
            self._held.close()

    def _check_folder(self, shapes):
        try:
            check_space(self.folder, self.needed_bytes(sum(math.prod(shape) for shape in shapes)))
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
            raise ValueError(f"`{key}` is not a {kind.__name__}")
    with np.load(os.path.join(folder, _ARRAYS_FILE)) as arrays:
        return content, [arrays[f"arr_{index}"] for index in range(len(arrays.files))]


def _about_weights(text):
    """Returns a hint about random weights if the initial weights differ."""
    return " (random weights are the same after `set_random_seed`)" if _WEIGHTS.search(text) else ""
