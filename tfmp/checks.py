"""Checks of arguments: each raises an error that says what was expected, what was received and, if given, what to do.

Every function returns the value, numbers as plain Python numbers, so a check can be part of an assignment:

    self.limit = check_number("limit", limit, above=0)

`where` is the owner of the argument, "Layer `conv1`" for example; `hint` tells the user what to do.
"""

import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np


def is_integer(value: object) -> bool:
    """Returns True for integers of Python and NumPy, False for booleans and for floats with whole values."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_integer(
    name: str, value: Any, *, at_least: int | None = None, at_most: int | None = None, hint: str = "", where: str = ""
) -> int:
    """Returns an integer within bounds, both included.

    Raises:
        ValueError: If it is not an integer, or out of bounds.
    """
    if not _is_integer_within(value, at_least, at_most):
        raise ValueError(_message(name, _integers(at_least, at_most), value, hint, where))
    return int(value)


def check_integers(
    name: str,
    values: Any,
    *,
    count: int | None = None,
    at_least: int | None = None,
    at_most: int | None = None,
    hint: str = "",
    where: str = "",
) -> tuple[int, ...]:
    """Returns a list, tuple or vector of integers within bounds, both included.

    Args:
        name: Name of the argument.
        values: The values.
        count: Required number of values; None for one or more.
        at_least: The lower bound.
        at_most: The upper bound.
        hint: What the error tells the user to do.
        where: Owner of the argument.

    Raises:
        ValueError: If they are not such integers, or their number is wrong.
    """
    if not (_are_as_many(values, count) and all(_is_integer_within(value, at_least, at_most) for value in values)):
        raise ValueError(
            _message(name, f"{_many(count)} {_integers(at_least, at_most, many=True)}", values, hint, where)
        )
    return tuple(map(int, values))


def check_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    below: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    hint: str = "",
    where: str = "",
) -> float:
    """Returns a finite number within bounds.

    Raises:
        ValueError: If it is not a real number, NaN, infinite or out of bounds.
    """
    bounds = {"at least": at_least, "above": above, "below": below, "at most": at_most}
    if not _is_number_within(value, bounds):
        raise ValueError(_message(name, f"a finite number{_bounds(bounds)}", value, hint, where))
    return float(value)


def check_numbers(
    name: str, values: Any, *, count: int | None = None, above: float | None = None, hint: str = ""
) -> tuple[float, ...]:
    """Returns a list, tuple or vector of finite numbers above a bound; arguments as in `check_integers`.

    Raises:
        ValueError: If they are not such numbers, or their number is wrong.
    """
    bounds = {"above": above}
    if not (_are_as_many(values, count) and all(_is_number_within(value, bounds) for value in values)):
        raise ValueError(_message(name, f"{_many(count)} finite numbers{_bounds(bounds)}", values, hint))
    return tuple(map(float, values))


def check_choice(name: str, value: Any, choices: Iterable[Any], *, hint: str = "", where: str = "") -> Any:
    """Returns one of several values.

    Raises:
        ValueError: If it is none of them.
    """
    choices = tuple(choices)
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        expected = ("one of " if len(choices) > 1 else "") + ", ".join(map(repr, choices))
        raise ValueError(_message(name, expected, value, hint, where))
    return value


def check_flag(name: str, value: Any, *, hint: str = "", where: str = "") -> bool:
    """Returns True or False.

    Raises:
        ValueError: If it is neither.
    """
    if not isinstance(value, bool):
        raise ValueError(_message(name, "True or False", value, hint, where))
    return value


def check_text(name: str, value: Any, *, hint: str = "", where: str = "") -> str:
    """Returns a text that is not empty.

    Raises:
        ValueError: If it is not text, or empty.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(_message(name, "a text that is not empty", value, hint, where))
    return value


def check_path(name: str, value: Any, *, hint: str = "") -> str | os.PathLike[str]:
    """Returns a path, which need not exist.

    Raises:
        TypeError: If it is neither text nor `os.PathLike`: an integer, for example, would be a file descriptor.
        ValueError: If it is empty, or contains a character that is invalid in paths.
    """
    check_instance(name, value, (str, os.PathLike), "a path, text or `os.PathLike`", hint=hint)
    text = os.fsdecode(value)
    if not text or "\0" in text:
        raise ValueError(_message(name, "a path that is not empty and has no null character", value, hint))
    return value


def check_function(name: str, value: Any, of: str, *, hint: str = "") -> Callable[..., Any]:
    """Returns a function; `of` says in words what its arguments are.

    Raises:
        TypeError: If it cannot be called.
    """
    if not callable(value):
        raise TypeError(_message(name, f"a function of {of}", value, hint))
    return value


def check_instance(
    name: str, value: Any, classes: type | tuple[type, ...], expected: str, *, hint: str = "", where: str = ""
) -> Any:
    """Returns an instance of a class.

    Args:
        name: Name of the argument.
        value: The value.
        classes: As in `isinstance`.
        expected: Description of such an instance: `"a `tfmp.Budget`"`.
        hint: What the error tells the user to do.
        where: Owner of the argument.

    Raises:
        TypeError: If it is not an instance.
    """
    if not isinstance(value, classes):
        raise TypeError(_message(name, expected, value, hint, where))
    return value


def check_instances(name: str, values: Any, classes: type | tuple[type, ...], expected: str) -> tuple[Any, ...]:
    """Returns a list or tuple of instances of a class; `expected` describes such a list.

    Raises:
        TypeError: If it is not a list, or an entry is not an instance.
    """
    for value in check_instance(name, values, (list, tuple), f"a list of {expected}"):
        check_instance(name, value, classes, f"a list of {expected}")
    return tuple(values)


def received(value: object, *, limit: int = 80) -> str:
    """Returns the text of a value in an error: its shortened `repr`, or its type if that says more."""
    text = repr(value)
    text = text if len(text) <= limit else f"{text[:limit]}..."
    shape = getattr(value, "shape", None)
    if shape and not isinstance(value, type):
        return f"{type(value).__name__} of shape {tuple(shape)}"
    return text


def _message(name: str, expected: str, value: object, hint: str, where: str = "") -> str:
    place = f"{where}: " if where else ""
    way_out = f". {hint}" if hint else ""
    return f"{place}`{name}` must be {expected}. Received: {received(value)}{way_out}"


def _is_integer_within(value: Any, at_least: int | None, at_most: int | None) -> bool:
    return is_integer(value) and (at_least is None or value >= at_least) and (at_most is None or value <= at_most)


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_number_within(value: Any, bounds: Mapping[str, float | None]) -> bool:
    above, below, at_least, at_most = (bounds.get(word) for word in ("above", "below", "at least", "at most"))
    return (
        _is_real(value)
        and _is_finite(value)
        and (above is None or value > above)
        and (below is None or value < below)
        and (at_least is None or value >= at_least)
        and (at_most is None or value <= at_most)
    )


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _are_as_many(values: Any, count: int | None) -> bool:
    is_list = isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.ndim == 1)
    return is_list and (len(values) == count if count else len(values) > 0)


def _many(count: int | None) -> str:
    return {None: "one or more", 1: "one", 2: "two"}.get(count, str(count))


def _bounds(bounds: Mapping[str, float | None]) -> str:
    words = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)
    return f" {words}" if words else ""


def _integers(low: int | None, high: int | None, *, many: bool = False) -> str:
    article, noun = ("", "integers") if many else ("an ", "integer")
    if low is None and high is None:
        return f"{article}{noun}"
    if high is None:
        positive = "positive integers" if many else "a positive integer"
        return positive if low == 1 else f"{article}{noun}, {low} or more"
    return f"{article}{noun} up to {high}" if low is None else f"{article}{noun} from {low} to {high}"
