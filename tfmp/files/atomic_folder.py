"""Atomic folder writes."""

import contextlib
import os
import shutil
from collections.abc import Iterator

from tfmp.files.atomic_file import synchronize, with_way_out


@contextlib.contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yields an empty temporary folder, which is renamed to `path` when the block ends and its files are on the disk.

    Only one process at a time may do so. Folders that killed processes left are removed.

    Args:
        path: The folder.

    Raises:
        OSError: If it cannot be written, or a folder of this name contains files; no partial folder remains.

    Example:
        >>> with new_folder("backup/epoch-00001") as beside:
        ...     np.savez(f"{beside}/variables.npz", *variables)
    """
    path = os.path.abspath(path)
    beside = f"{path}.tmp"
    try:
        shutil.rmtree(beside, ignore_errors=True)
        os.makedirs(beside)
        yield beside
        for name in os.listdir(beside):
            synchronize(os.path.join(beside, name))
        synchronize(beside)
        os.replace(beside, path)
        synchronize(os.path.dirname(path))
    except BaseException as error:
        shutil.rmtree(beside, ignore_errors=True)
        if isinstance(error, OSError):
            raise with_way_out(error, path) from error
        raise
