"""Locks of folders between processes."""

import contextlib
import io
import os
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows: two workers may both train the float model, and the last one's is kept
    fcntl = None  # type: ignore[assignment]  # no annotation says: a module or None

LOCKS = "locks"

_open_files = set()


class FolderLocks:
    """Lock files in the subfolder `locks` of a folder, each locked by one process at a time.

    If a process dies, its locks are released; its forks do not keep them. Released lock files are removed.

    Args:
        folder: The folder.

    Example:
        >>> with FolderLocks("output").searching():
        ...     pass
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self._folder = os.path.abspath(folder)

    @contextlib.contextmanager
    def hold(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Holds a lock while the block runs.

        Args:
            name: Name of the lock.
            wait: Whether to wait for the process that holds it.

        Raises:
            BlockingIOError: If another process holds it, and `wait` is False.
        """
        path = os.path.join(self._folder, LOCKS, name)
        file = _locked_file(path, wait)
        _open_files.add(file)
        try:
            yield
        finally:
            _open_files.discard(file)
            with contextlib.suppress(OSError):
                if os.path.getsize(path) == 0:
                    os.unlink(path)  # before unlocking: a waiting process sees this and opens a new file
                os.rmdir(os.path.dirname(path))
            file.close()

    @contextlib.contextmanager
    def searching(self) -> Iterator[None]:
        """Holds the lock of a search while the block runs.

        Raises:
            ValueError: If another process holds it.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self.hold("search", wait=False))
            except BlockingIOError as error:
                raise ValueError(
                    f"Another process searches in the folder {self._folder!r}. Wait for it, or end it."
                ) from error
            yield


def _locked_file(path: str, wait: bool) -> io.BufferedWriter:
    locks = os.path.dirname(path)
    while True:
        os.makedirs(os.path.dirname(locks), exist_ok=True)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(locks)
            file = open(path, "ab")  # appending nothing changes no existing file
        except FileNotFoundError:
            continue  # another process has just removed a folder
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if fcntl is None or _is_at(file, path):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _is_at(file: io.BufferedWriter, path: str) -> bool:
    """Returns whether the open file is still at the path; the process that held it may have removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _close_in_fork() -> None:
    """Closes the locks in a fork, which could otherwise keep them after its parent dies."""
    for file in _open_files:
        file.close()
    _open_files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_fork)
