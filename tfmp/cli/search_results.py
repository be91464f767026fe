"""Writes the two result files of `tfmp search` together."""

import contextlib
import filecmp
import os
import pathlib
import shutil
import tempfile

from tfmp.files.atomic_file import check_writable, link_or_copy, remove_leftovers, synchronize
from tfmp.files.atomic_folder import new_folder
from tfmp.files.folder_locks import FolderLocks

MODEL, ASSIGNMENT = "fixed.keras", "assignment.json"


class SearchResults:
    """The network and its bits in a folder.

    Both are first written to the backup, in the folder of the epoch that they come from, and linked to their places
    from there. `assignment.json` is removed first and comes last: where it is, both are of one run. Where it is
    missing, a run was stopped, and the same command goes on.

    Args:
        folder: Where they belong.
        epoch_folder: That of the search's last epoch in its backup.
        finetune_epochs: How long the network is trained after the search.
        overwrite: Whether files that exist are replaced.
    """

    def __init__(self, folder, epoch_folder, finetune_epochs, *, overwrite=False):
        self.folder, self.overwrite = pathlib.Path(folder).absolute(), overwrite
        self._written = pathlib.Path(epoch_folder) / f"finetuned-{finetune_epochs:05d}"

    @contextlib.contextmanager
    def locked(self):
        """Lets one process at a time work in the folder, which is made, and removed if it stays empty.

        Raises:
            OSError: If it cannot be written, or what it holds is neither to be overwritten nor of this run.
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
        """Where the network and its bits belong."""
        return self.folder / MODEL, self.folder / ASSIGNMENT

    @property
    def are_written(self) -> bool:
        """Whether the backup has them."""
        return self._written.is_dir()

    def write(self, save):
        """Writes both to the backup.

        Args:
            save: Function of the paths of the model and of the bits, which writes both.

        Raises:
            OSError: If it cannot; the message says where they are instead.
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

    def publish(self):
        """Puts what is written in its places.

        Raises:
            FileExistsError: If another program has made such a file meanwhile, and it is not to be overwritten.
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
