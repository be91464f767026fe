"""What two equal settings share, in whatever process."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import numpy as np


def described(value):
    """Returns JSON of a setting in which no object's address in memory occurs.

    Args:
        value: A number, a text, an array, a function, a dataclass; a mapping or a sequence of such. Of another object
            only the class counts.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): described(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [described(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: described(getattr(value, field.name)) for field in dataclasses.fields(value)}
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def digest(value) -> str:
    """Returns eight characters that equal settings share."""
    text = json.dumps(described(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def differences(found, expected, others=(), where=""):
    """Yields triples of a place, what stands there and what should, of two mappings in JSON.

    Args:
        found: What stands there.
        expected: What should.
        others: Names of `found` that may stand there besides.
        where: Place of both.
    """
    for key in dict.fromkeys([*expected, *(key for key in found if key not in others)]):
        was, now = found.get(key, "nothing"), expected.get(key, "nothing")
        if isinstance(was, dict) and isinstance(now, dict):
            yield from differences(was, now, where=f"{where}{key}.")
        elif was != now:
            yield f"{where}{key}", was, now
