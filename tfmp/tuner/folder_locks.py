"""Who may do what in a folder that several processes share."""

import contextlib
import pathlib

try:
    import fcntl
except ImportError:  # not on Windows, where two workers may both train the float model, and the last one's stays
    fcntl = None

LOCKS = "locks"


class FolderLocks:
    """Files of a folder's own folder `locks`, each locked by one process at a time.

    Args:
        folder: The folder.
    """

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)

    @contextlib.contextmanager
    def hold(self, name, *, wait=True):
        """Lets one process at a time in; the lock of a process that dies is free.

        Args:
            name: Of what is locked.
            wait: Whether to wait for the process that has it.

        Raises:
            BlockingIOError: If another process has it, and `wait` is False.
        """
        folder = self._folder / LOCKS
        folder.mkdir(exist_ok=True)
        with open(folder / name, "w", encoding="utf-8") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield

    @contextlib.contextmanager
    def searching(self):
        """Lets one process at a time hand out trials.

        Raises:
            ValueError: If another one does.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self.hold("search", wait=False))
            except BlockingIOError as error:
                raise ValueError(
                    f"Another process searches in the folder {str(self._folder)!r}. Wait for it, or end it."
                ) from error
            yield
