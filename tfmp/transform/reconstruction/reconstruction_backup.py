"""Saves the state of a reconstruction after each block."""

import contextlib
import json
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.files.atomic_file import check_space, replacement
from tfmp.files.folder_locks import FolderLocks
from tfmp.files.run_identity import difference_text

_FILE = "reconstruction.npz"
_FORMAT, _VERSION = "tfmp.reconstruction", 1
_WAY_OUT = "Give another `backup_dir`, or remove the folder to start again."
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)  # errors of reading a damaged file


class ReconstructionBackup:
    """A folder with the state after the last complete block of a reconstruction.

    Args:
        folder: Path of the folder; None saves nothing.
        identity: JSON that must be equal in the run that resumes.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, identity: Mapping[str, Any]):
        self._folder = None if folder is None else os.path.abspath(folder)
        self._identity = json.loads(json.dumps(identity))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Locks the folder for this process while the block runs.

        Raises:
            ValueError: If another process holds it.
            OSError: If it cannot be written.
        """
        with contextlib.ExitStack() as stack:
            if self._folder is not None:
                check_space(self._folder, way_out="Make room, or give another `backup_dir`")
                try:
                    stack.enter_context(FolderLocks(self._folder).hold("reconstruction", wait=False))
                except BlockingIOError as error:
                    raise ValueError(
                        f"Another process uses the backup in {self._folder!r}. Wait for it, or end it."
                    ) from error
            yield

    def load(self) -> tuple[dict[str, Any], list[np.ndarray]] | None:
        """Returns the state and the arrays that were saved last, or None.

        Raises:
            ValueError: If they belong to another run (the message names the difference), or the file is damaged.
        """
        if self._folder is None or not os.path.exists(self._path):
            return None
        try:
            with np.load(self._path) as file:
                content = json.loads(str(file["content"]))
                arrays = [file[f"array_{number}"] for number in range(len(file.files) - 1)]
            marks = content["format"], content["version"]
            identity, state = content["identity"], content["state"]
        except _DAMAGE as error:
            raise ValueError(f"The file {self._path!r} is damaged ({error}). {_WAY_OUT}") from error
        if marks != (_FORMAT, _VERSION):
            raise ValueError(f"The file {self._path!r} is of another version of this library. {_WAY_OUT}")
        difference = difference_text(identity, self._identity)
        if difference:
            raise ValueError(f"The backup in {self._folder!r} belongs to another run. {difference}. {_WAY_OUT}")
        return state, arrays

    def save(self, state: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> None:
        """Writes a state, JSON, and arrays atomically.

        Raises:
            OSError: If they cannot be written. The last state is kept.
        """
        if self._folder is None:
            return
        content = {"format": _FORMAT, "version": _VERSION, "identity": self._identity, "state": state}
        named: dict[str, Any] = {f"array_{number}": array for number, array in enumerate(arrays)}
        with replacement(self._path, overwrite=True, suffix=".npz") as beside:
            np.savez(beside, content=np.array(json.dumps(content)), **named)

    def remove(self) -> None:
        """Removes the file, after the run."""
        if self._folder is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    @property
    def _path(self):
        return os.path.join(self._folder, _FILE)
