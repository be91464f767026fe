"""Writing a file whole or not at all."""

import os
import secrets
import shutil

from tfmp.types.checks import check_flag, check_instance, check_path


def write_atomically(path: str | os.PathLike, content: str | bytes, overwrite: bool = False) -> None:
    """Writes a file beside its final name and renames it, so that no reader ever sees half of it.

    Args:
        path: Where to write. A symbolic link is followed.
        content: What to write; text is encoded as UTF-8, line ends unchanged.
        overwrite: True to replace an existing file, whose permissions are kept.

    Raises:
        FileExistsError: If the file exists and `overwrite` is False.
        FileNotFoundError: If the folder does not exist.
        IsADirectoryError, NotADirectoryError: If `path` is a folder, or its folder is none.
        PermissionError: If the folder cannot be written.
        TypeError: If `content` is neither text nor bytes.

    Example:
        >>> write_atomically("report.json", "{}")
    """
    check_instance("content", content, (str, bytes), "text or bytes")
    target = check_writable(path, overwrite)
    folder, name = os.path.split(target)
    beside = os.path.join(folder, f".{name}.{secrets.token_hex(4)}.tmp")
    try:
        # Not tempfile: its files are private to their owner, these follow the umask.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    except PermissionError as error:
        raise PermissionError(f"Cannot write to the folder {folder!r}. Choose another path than {path!r}.") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            if not overwrite:  # created by somebody else in the meantime
                raise FileExistsError(_exists_message(target))
            shutil.copymode(target, beside)
        os.replace(beside, target)
    except BaseException:
        os.unlink(beside)
        raise


def check_writable(path: str | os.PathLike, overwrite: bool = False) -> str:
    """Raises what `write_atomically` would, before the work is done whose result is to be written.

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


def _exists_message(target: str) -> str:
    return f"The file {target!r} exists. Pass overwrite=True to replace it, or choose another path."
