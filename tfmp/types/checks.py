"""Checks of arguments: each raises an error that says what was expected, what was received and, if given, the way out.

Every function returns the value, as a plain Python number where it is one, so that a check is also the assignment:

    self.limit = check_number("limit", limit, above=0)
"""

import math
import numbers
from collections.abc import Iterable
from typing import Any


def is_integer(value: object) -> bool:
    """True for integers of Python and NumPy, False for booleans and for floats with whole values."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def check_integer(
    name: str, value: Any, *, at_least: int | None = None, at_most: int | None = None, hint: str = ""
) -> int:
    """Returns an integer within bounds, both included.

    Raises:
        ValueError: If it is no integer, or out of bounds.
    """
    inside = is_integer(value) and (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    if not inside:
        raise ValueError(_message(name, _integers(at_least, at_most), value, hint))
    return int(value)


def check_number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    below: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    hint: str = "",
) -> float:
    """Returns a finite number within bounds.

    Raises:
        ValueError: If it is no real number, NaN, infinite or out of bounds.
    """
    inside = (
        isinstance(value, numbers.Real)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and (above is None or value > above)
        and (below is None or value < below)
        and (at_least is None or value >= at_least)
        and (at_most is None or value <= at_most)
    )
    if not inside:
        bounds = (("above", above), ("below", below), ("at least", at_least), ("at most", at_most))
        words = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
        raise ValueError(_message(name, f"a finite number {words}".rstrip(), value, hint))
    return float(value)


def check_choice(name: str, value: Any, choices: Iterable[Any], *, hint: str = "") -> Any:
    """Returns one of several values.

    Raises:
        ValueError: If it is none of them.
    """
    choices = tuple(choices)
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise ValueError(_message(name, f"one of {', '.join(map(repr, choices))}", value, hint))
    return value


def check_flag(name: str, value: Any, *, hint: str = "") -> bool:
    """Returns True or False.

    Raises:
        ValueError: If it is neither.
    """
    if not isinstance(value, bool):
        raise ValueError(_message(name, "True or False", value, hint))
    return value


def check_text(name: str, value: Any, *, hint: str = "") -> str:
    """Returns a text that is not empty.

    Raises:
        ValueError: If it is no text, or empty.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(_message(name, "a text that is not empty", value, hint))
    return value


def check_instance(name: str, value: Any, classes: type | tuple[type, ...], expected: str, *, hint: str = "") -> Any:
    """Returns an instance of a class.

    Args:
        name: What the caller calls the value.
        value: The value.
        classes: As in `isinstance`.
        expected: What such an instance is, in words: `"a `tfmp.Budget`"`.
        hint: The way out.

    Raises:
        TypeError: If it is none.
    """
    if not isinstance(value, classes):
        raise TypeError(_message(name, expected, value, hint))
    return value


def received(value: object, *, limit: int = 80) -> str:
    """Returns how an error shows a value: its `repr`, cut where it is long, and its type where that says more."""
    text = repr(value)
    text = text if len(text) <= limit else f"{text[:limit]}..."
    shape = getattr(value, "shape", None)
    if shape is not None and not isinstance(value, type):
        return f"{type(value).__name__} of shape {tuple(shape)}"
    return text


def _message(name, expected, value, hint):
    return f"`{name}` must be {expected}. Received: {received(value)}" + (f". {hint}" if hint else "")


def _integers(low, high):
    if low is None and high is None:
        return "an integer"
    if high is None:
        return "a positive integer" if low == 1 else f"an integer, {low} or more"
    return f"an integer up to {high}" if low is None else f"an integer from {low} to {high}"
