import math

import numpy as np
import pytest

from tfmp.checks import check_choice, check_flag, check_instance, check_integer, check_number, check_text, received


@pytest.mark.parametrize("value", [1, 8, np.int64(3), np.uint8(8)])
def test_integers_come_back_as_python_integers(value):
    checked = check_integer("bits", value, at_least=1, at_most=8)
    assert checked == value and type(checked) is int


@pytest.mark.parametrize("value", [0, 9, -1, 1.0, "2", None, True, math.nan, [1], np.array([1, 2])])
def test_what_is_no_such_integer(value):
    with pytest.raises(ValueError, match="`bits` must be an integer from 1 to 8. Received: "):
        check_integer("bits", value, at_least=1, at_most=8)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({}, "an integer"),
        ({"at_least": 1}, "a positive integer"),
        ({"at_least": 0}, "an integer, 0 or more"),
        ({"at_most": 5}, "an integer up to 5"),
    ],
)
def test_the_bounds_of_integers_in_words(bounds, words):
    with pytest.raises(ValueError, match=f"`n` must be {words}. Received: 'x'"):
        check_integer("n", "x", **bounds)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.25), np.int8(1)])
def test_numbers_come_back_as_python_floats(value):
    checked = check_number("rate", value, above=0, at_most=1)
    assert checked == value and type(checked) is float


@pytest.mark.parametrize("value", [0, 1.5, -1, math.nan, math.inf, -math.inf, "1", None, True, 1j, np.ones(2)])
def test_what_is_no_such_number(value):
    with pytest.raises(ValueError, match="`rate` must be a finite number above 0 and at most 1. Received: "):
        check_number("rate", value, above=0, at_most=1)


def test_the_other_bounds_of_numbers():
    assert check_number("x", 0, at_least=0, below=1) == 0
    with pytest.raises(ValueError, match="a finite number at least 0 and below 1. Received: 1"):
        check_number("x", 1, at_least=0, below=1)
    with pytest.raises(ValueError, match="must be a finite number. Received: inf. Give a smaller one"):
        check_number("x", math.inf, hint="Give a smaller one")


def test_choices_flags_texts_and_instances():
    assert check_choice("mode", "fast", ("fast", "small")) == "fast"
    assert check_choice("count", 1, (None, 1)) == 1
    assert check_flag("overwrite", False) is False
    assert check_text("name", "conv") == "conv"
    assert check_instance("table", {}, dict, "a dict") == {}


@pytest.mark.parametrize("value", ["slow", None, 1, ["fast"], np.ones(2)])
def test_what_is_no_choice(value):
    with pytest.raises(ValueError, match="`mode` must be one of 'fast', 'small'. Received: "):
        check_choice("mode", value, ("fast", "small"))


def test_true_is_not_the_choice_1():
    with pytest.raises(ValueError, match="`count` must be one of 1, 2. Received: True"):
        check_choice("count", True, (1, 2))


@pytest.mark.parametrize("value", [0, 1, "no", None])
def test_what_is_no_flag(value):
    with pytest.raises(ValueError, match="`coupled` must be True or False. Received: "):
        check_flag("coupled", value)


@pytest.mark.parametrize("value", ["", None, 3, b"text"])
def test_what_is_no_text(value):
    with pytest.raises(ValueError, match="`name` must be a text that is not empty. Received: "):
        check_text("name", value)


def test_what_is_no_instance():
    with pytest.raises(TypeError, match="`budget` must be a `tfmp.Budget`. Received: 3. Make one"):
        check_instance("budget", 3, dict, "a `tfmp.Budget`", hint="Make one")


def test_long_values_are_cut_and_arrays_told_by_their_shapes():
    assert received("x" * 200) == "'" + "x" * 79 + "..."
    assert received(np.zeros((2, 3))) == "ndarray of shape (2, 3)"
