"""Checks free disk space before writing."""

import errno
import os
import tempfile


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
