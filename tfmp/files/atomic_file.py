"""Atomic writes of files and folders: beside the final name, synchronized and renamed; and the space for them."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator

from tfmp.checks import check_flag, check_instance, check_path

_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
_TEMPORARY = re.compile(r"(?P<host>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{8}\.tmp")

_WAYS_OUT = {
    errno.ENOSPC: "Make room, or choose another path",
    errno.EDQUOT: "Make room, or choose another path",
    errno.EROFS: "Choose another path",
    errno.EACCES: "Choose another path",
}


def write_atomically(path: str | os.PathLike[str], content: str | bytes, overwrite: bool = False) -> None:
    """Writes a file atomically: readers see the old file or the new one, also after a power failure.

    Args:
        path: Path of the file. A symbolic link is followed.
        content: Text or bytes; text is encoded as UTF-8, with unchanged line ends.
        overwrite: True to replace an existing file, whose permissions are kept.

    Raises:
        FileExistsError: If the file exists and `overwrite` is False.
        FileNotFoundError: If the folder does not exist.
        IsADirectoryError, NotADirectoryError: If `path` is a folder, or its parent is not a folder.
        PermissionError: If the folder cannot be written.
        OSError: If there is no space; the message names the file.
        TypeError: If `content` is neither text nor bytes.

    Example:
        >>> write_atomically("report.json", "{}")
    """
    check_instance("content", content, (str, bytes), "text or bytes")
    with replacement(path, overwrite) as beside, open(beside, "wb") as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextlib.contextmanager
def replacement(path: str | os.PathLike[str], overwrite: bool = False, *, suffix: str = "") -> Iterator[str]:
    """Yields the path of an empty temporary file, which replaces `path` when the block ends.

    If the block raises, nothing changes. Temporary files of killed processes of this machine are removed.

    Args:
        path: The file. A symbolic link is followed.
        overwrite: True to replace an existing file, whose permissions are kept.
        suffix: End of the temporary file's name, for writers that check it.

    Raises:
        OSError: As in `write_atomically`.

    Example:
        >>> with replacement("model.keras", suffix=".keras") as beside:
        ...     model.save(beside)
    """
    target = check_writable(path, overwrite)
    folder, name = os.path.split(target)
    remove_leftovers(target)
    beside = os.path.join(folder, f".{name}.{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp{suffix}")
    try:
        try:
            # Not `tempfile`: its files are private to their owner; these follow the umask.
            os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            yield beside
            synchronize(beside)
        except OSError as error:
            raise with_way_out(error, target) from error
        _take_the_place(beside, target, overwrite)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
    synchronize(folder)


def check_writable(path: str | os.PathLike[str], overwrite: bool = False) -> str:
    """Raises the errors of `write_atomically` early, before the work whose result is to be written.

    Returns:
        The path with symbolic links followed.
    """
    check_flag("overwrite", overwrite)
    target = os.path.realpath(check_path("path", path))
    folder = os.path.dirname(target)
    if os.path.isdir(target):
        raise IsADirectoryError(f"Expected the path of a file. Received the folder {target!r}.")
    if os.path.exists(target) and not overwrite:
        raise FileExistsError(_exists_message(target))
    if not os.path.exists(folder):
        raise FileNotFoundError(f"The folder {folder!r} does not exist. Create it first.")
    if not os.path.isdir(folder):
        raise NotADirectoryError(f"Expected a folder to write to. Received the file {folder!r}.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"Cannot write to the folder {folder!r}. Choose another path than {str(path)!r}.")
    return target


def with_way_out(error: OSError, path: str | os.PathLike[str]) -> OSError:
    """Returns the error of a write with the path and, if known, what to do."""
    if error.errno not in _WAYS_OUT:
        return error
    # Without the error's own text, because that of h5py is pages long.
    text = f"Cannot write: {os.strerror(error.errno)}. {_WAYS_OUT[error.errno]}"
    return OSError(error.errno, text, os.fspath(path))


def link_or_copy(source: str | os.PathLike[str], path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Links a file to a second path atomically, or copies it if the file system has no hard links.

    Args:
        source: A complete file.
        path: The second path.
        overwrite: True to replace an existing file, whose permissions are kept.

    Raises:
        OSError: As in `write_atomically`.
    """
    with replacement(path, overwrite) as beside:
        os.unlink(beside)
        try:
            os.link(source, beside)
        except OSError:
            shutil.copyfile(source, beside)


def synchronize(path: str | os.PathLike[str]) -> None:
    """Waits until a file, or the entries of a folder, are on the disk; some file systems cannot do so for folders."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        if os.path.isdir(path):
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError:
        if not os.path.isdir(path):
            raise
    finally:
        os.close(descriptor)


def _take_the_place(beside: str, target: str, overwrite: bool) -> None:
    if overwrite:
        if os.path.exists(target):
            shutil.copymode(target, beside)
        os.replace(beside, target)
        return
    try:
        os.link(beside, target)  # unlike a rename, it never replaces a file that appeared in the meantime
    except FileExistsError:
        raise FileExistsError(_exists_message(target)) from None
    except OSError:  # a file system without hard links
        if os.path.exists(target):
            raise FileExistsError(_exists_message(target)) from None
        os.replace(beside, target)


def remove_leftovers(path: str | os.PathLike[str]) -> None:
    """Removes temporary files beside a file whose processes, on this machine, are dead."""
    folder, name = os.path.split(os.path.realpath(path))
    prefix = f".{name}."
    for entry in os.listdir(folder):
        match = _TEMPORARY.match(entry[len(prefix) :]) if entry.startswith(prefix) else None
        if match and match["host"] == _HOST and not _is_alive(int(match["process"])):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, entry))


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # signal 0 is Ctrl-C there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's process
        return True
    return True


def _exists_message(target: str) -> str:
    return f"The file {target!r} exists. Pass overwrite=True to replace it, or choose another path."


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


def check_space(
    folder: str | os.PathLike[str], num_bytes: int = 0, *, way_out: str = "Make room, or choose another path"
) -> None:
    """Checks that a folder can be written and has enough space, before the work that needs it.

    Args:
        folder: The folder; created if missing.
        num_bytes: Bytes that will be written. Quotas count if the system reports them.
        way_out: What the error tells the user to do.

    Raises:
        OSError: If it cannot be written, or has too little space; the message names it.

    Example:
        >>> check_space("output", num_bytes=10_000_000)
    """
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if num_bytes and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, num_bytes)
    except OSError as error:
        reason, number = error.strerror, error.errno
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            reason, number = f"no space left for about {num_bytes / 1e6:,.1f} MB", errno.ENOSPC
        raise OSError(number, f"Cannot write: {reason}. {way_out}", os.fspath(folder)) from error
