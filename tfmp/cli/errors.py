"""Prints errors that users can correct as one line; bugs keep their traceback."""

import sys
import zipfile
import zlib

_OF_USERS = (OSError, TypeError, ValueError, ImportError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error)

_FLAGS = {"overwrite=True": "--overwrite", "safe_mode=False": "--trust"}  # in Python, and on the command line


def one_line(error: BaseException) -> str | None:
    """Returns the message of an error for the user, or None for an error that only a bug can raise."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and isinstance(error, tensorflow.errors.OpError):
        return f"TensorFlow stopped: {_first_line(error.message)}. Check the shapes and values of model and data."
    if not isinstance(error, _OF_USERS):
        return None
    if isinstance(error, MemoryError):
        return f"out of memory. {error} Give a smaller --batch_size, or fewer data.".replace(".  ", ". ")
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: {error.filename!r}. Check the path, and whether you may read and write there."
    text = str(error)
    for argument, flag in _FLAGS.items():
        text = text.replace(argument, flag)
    return text or type(error).__name__


def _first_line(text):
    return next((line.strip().rstrip(".") for line in (text or "").splitlines() if line.strip()), "without a reason")
