import dataclasses

import pytest

from tfmp.graph import FLOAT, CodeFormat


@pytest.mark.parametrize(
    ("bits", "low", "high", "container"),
    [
        (1, -1, 1, 2),
        (1, 0, 1, 2),
        (2, -2, 1, 2),
        (2, -1, 1, 2),
        (2, 0, 3, 4),
        (2, -3, 3, 4),
        (3, -4, 3, 4),
        (4, -8, 7, 4),
        (3, 0, 7, 4),
        (4, 0, 15, 8),
        (4, -15, 15, 8),
        (5, -16, 15, 8),
        (7, -127, 127, 8),
        (8, -128, 127, 8),
        (8, 0, 255, 8),
        (8, -100, 155, 8),
        (32, None, None, 32),
    ],
)
def test_container_is_the_narrowest_that_holds_every_code(bits, low, high, container):
    assert CodeFormat(bits, low, high).container_bits == container


def test_codes_beyond_eight_bits_have_no_container():
    with pytest.raises(ValueError, match="Codes from 0 to 256 do not fit 8 bits"):
        _ = CodeFormat(9, 0, 256).container_bits
    with pytest.raises(ValueError, match="Codes from -255 to 255 do not fit 8 bits.*at most 7 bits"):
        _ = CodeFormat(8, -255, 255).container_bits


@pytest.mark.parametrize("bits", [0, -1, 33, 2.0, True, "8", None])
def test_bits_must_be_an_integer_from_1_to_32(bits):
    with pytest.raises(ValueError, match="`bits` must be an integer from 1 to 32. Received"):
        CodeFormat(bits, 0, 1)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (3, -3), (None, 3), (0, None)])
def test_low_must_be_below_high(low, high):
    with pytest.raises(ValueError, match=f"`low` must be below `high`, or both None. Received: {low} and {high}"):
        CodeFormat(4, low, high)


def test_is_a_value():
    assert CodeFormat(4, -8, 7) == CodeFormat(4, -8, 7) != CodeFormat(4, -7, 7)
    assert len({CodeFormat(4, -8, 7), CodeFormat(4, -8, 7), FLOAT, CodeFormat(32)}) == 2
    assert FLOAT.is_float and not CodeFormat(32, -(2**31), 2**31 - 1).is_float
    with pytest.raises(dataclasses.FrozenInstanceError):
        FLOAT.bits = 8
