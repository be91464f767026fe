"""Types of command-line arguments, with the checks of the Python arguments."""

import argparse
import dataclasses
import re
from collections.abc import Callable
from typing import Any

from tfmp.checks import check_choice, check_integer, check_integers, check_number, check_numbers
from tfmp.reports import Tolerance

_NAMED_BITS = re.compile(r"W(\d+)A(\d+)", re.IGNORECASE)
_SIZE = re.compile(r"(.*?) ?([km]?)(?:(?<=[km])i?b)?", re.IGNORECASE | re.DOTALL)
_UNITS = {"": 1, "k": 2**10, "m": 2**20}
_NAME = "value"  # argparse adds the name of the argument


def integer(**bounds: Any) -> Callable[[str], int]:
    """Returns the type of an integer; bounds as in `check_integer`."""
    return lambda text: _checked(check_integer, _parsed(int, text), **bounds)


def number(**bounds: Any) -> Callable[[str], float]:
    """Returns the type of a finite number; bounds as in `check_number`."""
    return lambda text: _checked(check_number, _parsed(float, text), **bounds)


def seed(text: str) -> int:
    """Parses a seed that every random generator accepts."""
    return integer(at_least=0, at_most=2**32 - 1)(text)


def bit_list(text: str) -> tuple[int, ...]:
    """Parses bit-widths separated by commas."""
    return _checked(check_integers, _parts(int, text), at_least=1, at_most=8)


def bit_pair(text: str) -> tuple[int, ...]:
    """Parses bits of weights and activations: `4,8` or `W4A8`."""
    named = _NAMED_BITS.fullmatch(text)
    parts = tuple(map(int, named.groups())) if named else _parts(int, text)
    return _checked(check_integers, parts, count=2, at_least=1, at_most=32, hint="Give W,A, for example 4,8 or W4A8")


def positive_numbers(text: str) -> tuple[float, ...]:
    """Parses positive numbers separated by commas."""
    return _checked(check_numbers, _parts(float, text), above=0)


def byte_size(text: str) -> int:
    """Parses a number of bytes: `90000`, `256k` or `1.5M`, also `256kB` and `256 KiB`, in units of 1024."""
    amount, unit = _SIZE.fullmatch(text.strip()).groups()  # type: ignore[union-attr]  # which any line matches
    size = number(above=0)(amount) * _UNITS[unit.lower()]
    if size < 1:
        raise argparse.ArgumentTypeError(f"must be one byte or more. Received: {text!r}")
    return int(size)


def cost_bound(text: str) -> tuple[str, float | None, tuple[int, ...] | None]:
    """Parses a cost with its bound to `(cost, limit, like_uniform)`; one of the last two is None."""
    cost, _, bound = text.rpartition("=")
    if not cost:
        raise argparse.ArgumentTypeError(f"must be COST=W,A or COST=LIMIT. Received: {text!r}")
    is_pair = "," in bound or _NAMED_BITS.fullmatch(bound)
    return (cost, None, bit_pair(bound)) if is_pair else (cost, number(above=0)(bound), None)


def tolerance_bound(text: str) -> tuple[str, float | None]:
    """Parses a limit of a `Tolerance` to `(name, value)`, with None for `none`."""
    name, _, value = text.partition("=")
    _checked(
        check_choice, name, choices=[field.name for field in dataclasses.fields(Tolerance)], hint="Give NAME=VALUE"
    )
    bound: Any = None if value == "none" else _parsed(int, value) if value.isdecimal() else _parsed(float, value)
    try:
        Tolerance(**{name: bound})
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return name, bound


def _checked(check: Callable[..., Any], value: Any, **bounds: Any) -> Any:
    try:
        return check(_NAME, value, **bounds)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix(f"`{_NAME}` ")) from error


def _parsed(kind, text):
    """Returns the number in a text; otherwise the text, which the checks refuse."""
    try:
        return kind(text)
    except ValueError:
        return text


def _parts(kind, text):
    parts = tuple(_parsed(kind, part) for part in text.split(","))
    return parts if all(isinstance(part, kind) for part in parts) else text
