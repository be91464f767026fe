"""Digests that identify a run across processes."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np

from tfmp.files.finite_values import array_chunks, is_array
from tfmp.version import SAME_RESULTS_SINCE

_LARGEST_LISTED = 64  # numbers; a larger array is represented by a digest
_SHOWN_DIFFERENCES = 4
_SHOWN_CHARACTERS = 60
# Classes and functions that have moved keep the names that version 0.1.0 recorded, so that its runs are resumed.
_RECORDED_NAMES = {
    "tfmp.costs.simulated_cost.Energy": "tfmp.costs.energy.Energy",
    "tfmp.costs.simulated_cost.SimulatedLatency": "tfmp.costs.latency.Latency",
    "tfmp.joint.cross_entropy.cross_entropy": "tfmp.mixins.cross_entropy.cross_entropy",
}


def version(*, since: str = "0") -> str:
    """Returns the version that a run records: of the first library with the results of this one.

    Args:
        since: The version that last changed the results of such runs, if it is later.
    """
    return max(since, SAME_RESULTS_SINCE, key=lambda each: [int(part) for part in each.split(".")])


def described(value: Any) -> Any:
    """Returns a setting as JSON without memory addresses, so that it is equal in every process.

    Args:
        value: A number, a text, an array, a function, a dataclass; a mapping or a sequence of these; an object with
            `get_config`, such as an optimizer, without its name; a `tf.data.Dataset`, by the shapes, types and number
            of its elements; other batches, by their number. Any other object is represented by its class.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)  # JSON has no NaN or infinity, and NaN differs from itself
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, type):
        return _name(value)
    if is_array(value):
        is_listed = np.prod(np.shape(value)) <= _LARGEST_LISTED and value.dtype != object
        return np.asarray(value).tolist() if is_listed else array_digest(value)
    if isinstance(value, Mapping):
        return {str(key): described(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        if len(value) > _LARGEST_LISTED and all(isinstance(each, int | float) for each in value):
            return array_digest(np.asarray(value))
        return [described(each) for each in value]
    if dataclasses.is_dataclass(value):
        return {
            field.name: described(getattr(value, field.name))
            for field in dataclasses.fields(value)
            # A field that a later version added: while it has its default, runs recorded without it are resumed.
            if not (field.metadata.get("unrecorded_default") and getattr(value, field.name) == field.default)
        }
    if hasattr(value, "element_spec"):
        return {"elements": str(value.element_spec), "batches": int(value.cardinality())}
    if hasattr(value, "get_config"):
        return {"class": _name(type(value)), **_configuration(value)}
    if hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        return {"class": _name(type(value)), "batches": len(value)}
    return _name(value if hasattr(value, "__qualname__") else type(value))


def _name(value: Any) -> str:
    name = f"{value.__module__}.{value.__qualname__}"
    return _RECORDED_NAMES.get(name, name)


def _configuration(value: Any) -> dict[str, Any]:
    try:
        return _without_names(value.get_config())
    except NotImplementedError:
        return {}


def _without_names(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a Keras configuration as JSON without names, which Keras numbers per process."""
    unnamed = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and {"class_name", "config"} <= value.keys():
            unnamed[key] = {"class": value["class_name"], **_without_names(value["config"])}
        elif key != "name" or len(config) == 1:  # a name alone is a type, such as that of a `DTypePolicy`
            unnamed[key] = described(value)
    return unnamed


def digest(value: Any) -> str:
    """Returns eight characters that equal settings share."""
    text = json.dumps(described(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def array_digest(*arrays: np.ndarray) -> str:
    """Returns a digest of the types, shapes and values of arrays; it reads 0.9 GB a second."""
    digest, texts = hashlib.sha256(), []
    for array in arrays:
        dtype = array.dtype if hasattr(array, "chunks") else np.asarray(array).dtype
        texts.append(f"{dtype} {list(np.shape(array))}")
        digest.update(texts[-1].encode())
        for _, rows in array_chunks(array):
            digest.update(repr(rows.tolist()).encode() if rows.dtype == object else rows.tobytes())
    kinds = texts[0] if len(texts) == 1 else f"{len(texts)} arrays"
    return f"{kinds} {digest.hexdigest()[:16]}"


def differences(
    recorded: Mapping[Any, Any], expected: Mapping[Any, Any], others: Container[str] = (), where: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Yields the differences of two JSON mappings as triples: key path, value found, value expected.

    Args:
        recorded: The mapping to check.
        expected: The expected mapping.
        others: Additional names that `recorded` may have.
        where: Key path of both mappings.
    """
    for key in dict.fromkeys([*expected, *(key for key in recorded if key not in others)]):
        was, now = recorded.get(key, "nothing"), expected.get(key, "nothing")
        if _are_mappings(was, now):
            was, now = dict(enumerate(was)), dict(enumerate(now))
        if isinstance(was, dict) and isinstance(now, dict):
            yield from differences(was, now, where=f"{where}{key}.")
        elif was != now:
            yield f"{where}{key}", was, now


def _are_mappings(*values: Any) -> bool:
    """Returns True for lists of mappings with equal lengths, which are compared one by one."""
    are_lists = all(isinstance(each, list) and each and isinstance(each[0], dict) for each in values)
    return are_lists and len({len(each) for each in values}) == 1


def difference_text(recorded: Mapping[str, Any], expected: Mapping[str, Any], others: Container[str] = ()) -> str:
    """Returns the first differences of two JSON mappings in words, `seed: 0 then, 1 now`; "" if they are equal."""
    texts = [
        f"{where}: {_shown(was)} then, {_shown(now)} now" for where, was, now in differences(recorded, expected, others)
    ]
    more = f"; and {len(texts) - _SHOWN_DIFFERENCES} more" if len(texts) > _SHOWN_DIFFERENCES else ""
    return "; ".join(texts[:_SHOWN_DIFFERENCES]) + more


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
