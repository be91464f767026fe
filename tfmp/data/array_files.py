"""Reads arrays from `.npz` files."""

import os
import struct
import zipfile
import zlib
from typing import Any

import numpy as np


def load_arrays(path: str, *needed: str) -> dict[str, Any]:
    """Returns the arrays of an .npz file by name; `x_train/left` and `x_train/right` become a dict `x_train`."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path!r}. Expected an .npz file with the data.")
    try:
        if not zipfile.is_zipfile(path):  # what else NumPy reads, a single array or a pickle, has no named arrays
            raise zipfile.BadZipFile("File is not a zip file")
        with np.load(path) as arrays:
            named = {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, KeyError, struct.error, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"Expected an .npz file, as `numpy.savez` writes it. Received: {path!r}, which cannot "
            f"be read ({error}). Write it again."
        ) from error
    for name in [name for name in named if "/" in name]:
        part, _, of = name.partition("/")
        if not isinstance(named.setdefault(part, {}), dict):
            raise ValueError(f"Expected either {part} or {part}/NAME for each input in {path!r}. Received both.")
        named[part][of] = named.pop(name)
    missing = [name for name in needed if name not in named]
    if missing:
        raise ValueError(f"Expected {', '.join(needed)} in {path!r}. Missing: {', '.join(missing)}")
    return named
