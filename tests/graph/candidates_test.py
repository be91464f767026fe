"""The integer codes that a quantized tensor may hold, and the candidate precisions of a tensor."""

import dataclasses

import numpy as np
import pytest

from tfmp import quantizers
from tfmp.graph import FLOAT, Candidates, CodeFormat


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


def lsq(bits, **arrays):
    return Candidates.of([quantizers.LSQ(b) for b in bits], **arrays)


def test_they_are_what_their_quantizers_are():
    candidates = Candidates.of([quantizers.MovingRange(b, False, momentum=0.5) for b in (2, 4)], (0.25, 0.75))
    assert candidates.formats == (CodeFormat(2, 0, 3), CodeFormat(4, 0, 15)) and candidates.bits == (2, 4)
    assert candidates.quantizer == "moving_range(momentum=0.5)" and candidates.range_of_tensor
    assert not candidates.signed and candidates.probabilities == (0.25, 0.75)
    assert lsq((1, 2, 4)).probabilities == (1 / 3,) * 3 and lsq((3,)).probabilities == (1.0,)


def test_a_state_is_shared_or_of_each_candidate():
    one, two = {"step": np.float32(1)}, {"step": np.float32(2)}
    shared, separate, unread = lsq((2, 4), states=(one,)), lsq((2, 4), states=(one, two)), lsq((2, 4))
    assert shared.state is one and shared.own_state(2) is None
    assert separate.state is two and separate.own_state(2) is one and separate.own_state(3) is None
    assert unread.state == {} and unread.own_state(2) is None


def test_arrays_have_unique_names_and_are_not_compared():
    kernels = {2: np.ones((3, 3))}
    candidates = lsq((2, 4), states=({"step": 1}, {"step": 2}), choice={"logits": np.zeros(2)}, kernels=kernels)
    assert list(candidates.arrays()) == ["step of 2 bits", "step of 4 bits", "logits", "kernel of 2 bits"]
    assert list(lsq((2,), states=({"step": 1},)).arrays()) == ["step"]
    assert candidates == lsq((2, 4)) == candidates.without_arrays() and hash(candidates) == hash(lsq((2, 4)))
    assert candidates.without_arrays().arrays() == {}
