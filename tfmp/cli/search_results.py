"""Writes the two result files of `tfmp search` together."""

import contextlib
import filecmp
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator

from tfmp.files.atomic_file import check_writable, link_or_copy, new_folder, remove_leftovers, synchronize
from tfmp.files.folder_locks import FolderLocks

MODEL, ASSIGNMENT = "fixed.keras", "assignment.json"


class SearchResults:
    """Writes the network and its bits to a folder, always as a pair of one run.

    Both are first written to the backup, in the folder of the epoch they belong to, and then linked to their places.
    `assignment.json` is removed first and linked last: if it exists, both files are of one run. If it is missing, a
    run was stopped, and the same command resumes it.

    Args:
        folder: Folder of the two files.
        epoch_folder: Folder of the search's last epoch in its backup.
        finetune_epochs: Epochs of training after the search.
        overwrite: Whether existing files are replaced.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        epoch_folder: str | os.PathLike[str],
        finetune_epochs: int,
        *,
        overwrite: bool = False,
    ):
        self.folder, self.overwrite = pathlib.Path(folder).absolute(), overwrite
        self._written = pathlib.Path(epoch_folder) / f"finetuned-{finetune_epochs:05d}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the folder while the block runs; creates it, and removes it if it stays empty.

        Raises:
            OSError: If it cannot be written, or has files that are neither of this run nor to be overwritten.
            ValueError: If another process works in it.
        """
        if self.folder.exists():
            self._check()
        is_new = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FolderLocks(self.folder).searching():
                self._check()
                yield
        finally:
            if is_new:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()

    def _check(self):
        for name in (MODEL, ASSIGNMENT):
            check_writable(self.folder / name, self.overwrite or self._is_in_place(name))

    def _is_in_place(self, name):
        files = self._written / name, self.folder / name
        return all(path.is_file() for path in files) and filecmp.cmp(*files, shallow=False)

    @property
    def paths(self) -> tuple[pathlib.Path, pathlib.Path]:
        """Paths of the network and its bits."""
        return self.folder / MODEL, self.folder / ASSIGNMENT

    @property
    def are_written(self) -> bool:
        """Whether the backup has both files."""
        return self._written.is_dir()

    def write(self, save: Callable[[str, str], None]) -> None:
        """Writes both to the backup.

        Args:
            save: Function that writes both, given the paths of the model and of the bits.

        Raises:
            OSError: If the backup cannot be written; the message says where the files are instead.
        """
        try:
            with new_folder(self._written) as beside:
                save(os.path.join(beside, MODEL), os.path.join(beside, ASSIGNMENT))
        except OSError as error:
            rescue = tempfile.mkdtemp(prefix="tfmp-search-")
            try:
                save(os.path.join(rescue, MODEL), os.path.join(rescue, ASSIGNMENT))
            except OSError:
                shutil.rmtree(rescue)
                raise error from None
            text = f"{error.strerror or error}. The network and its bits are in {rescue!r} instead"
            raise OSError(error.errno, text, str(self._written)) from error

    def publish(self) -> None:
        """Links the written files to their places.

        Raises:
            FileExistsError: If such a file appeared in the meantime and must not be overwritten.
        """
        if self.overwrite and not self._is_in_place(ASSIGNMENT):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.realpath(self.folder / ASSIGNMENT))
            synchronize(self.folder)
        for name in (MODEL, ASSIGNMENT):
            if self._is_in_place(name):
                remove_leftovers(self.folder / name)
            else:
                link_or_copy(self._written / name, self.folder / name, self.overwrite)
