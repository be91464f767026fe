"""Rows of bad input: what is called, which argument is wrong, the class of the error, and what it must say."""

import math

import numpy as np
import pytest

from tfmp.checks import received

NAN, INFINITY, THING = math.nan, math.inf, object()

# What is wrong for each kind of argument, with the error and the words that say what is right.
POSITIVE_INTEGER = (ValueError, "a positive integer", [0, -1, 1.5, NAN, None, True, "3", [3], np.ones(2)])
NATURAL = (ValueError, "an integer, 0 or more", [-1, 0.5, NAN, None, True, "3", [0]])
POSITIVE_NUMBER = (ValueError, "a finite number above 0", [0, -1.0, NAN, INFINITY, 10**400, None, True, "1", [1.0]])
NOT_NEGATIVE = (ValueError, "a finite number at least 0", [-1, NAN, INFINITY, None, False, "1"])
BITS_8 = (ValueError, "an integer from 1 to 8", [0, 9, -1, 2.5, None, True, "2", THING])
LIST_OF_BITS_8 = (ValueError, "integers from 1 to 8", [(), (0,), (2, 9), (2, 2.5), (None,), ("2",), [[2]]])
PAIR_OF_BITS = (ValueError, "two integers from 1 to 32", [(2,), (2, 2, 2), (0, 2), (2, 33), (2, 2.5), 2, "22", {}])
FLAG = (ValueError, "True or False", [0, 1, "no", None, []])
TEXT = (ValueError, "a text that is not empty", ["", None, 3, b"text", ["a"]])
PATH = (TypeError, "a path, text or `os.PathLike`", [3, None, b"bytes", ["a"], THING])
NO_PATH = (ValueError, "a path that is not empty", ["", "a\0b"])


def given(kind):
    """The kind of an argument that may also be None."""
    error, words, values = kind
    return error, words, [value for value in values if value is not None]


def choice(*known):
    """The kind of an argument that is one of several values."""
    return ValueError, ", ".join(map(repr, known)), ["", "unknown", None, 3, [known[0]], THING]


def instance(words):
    """The kind of an argument that is an instance of a class, which a few other things are not."""
    return TypeError, words, [None, 3, "text", [], THING, np.ones(2)]


def rows(name, call, good, /, **wrong):
    """Returns a parameter for each wrong value of each argument of a call, all others being right.

    Args:
        name: What the ids call it.
        call: The callable, or the place of one in `tfmp`, for what is expensive to import.
        good: Its arguments, or a function that returns them.
        **wrong: Argument to its kind, or to a list of kinds.
    """
    found = []
    for argument, kinds in wrong.items():
        for error, words, values in kinds if isinstance(kinds, list) else [kinds]:
            for value in values:
                case = f"{name}-{argument}-{'thing' if value is THING else received(value, limit=20)}"
                found.append(pytest.param(call, good, argument, value, error, words, id=case))
    return found


def check_refused(call, good, argument, value, error, words):
    """Asserts that a call raises this very class, and names the argument, the value and what is right."""
    arguments = {**(good() if callable(good) else good), argument: value}
    with pytest.raises(error) as caught:
        call(**arguments)
    text = str(caught.value)
    assert type(caught.value) is error
    assert f"`{argument}` must be" in text and words in text and f"Received: {received(value)}" in text, text
