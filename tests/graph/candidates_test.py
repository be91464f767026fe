"""Candidates of a tensor and their arrays."""

import numpy as np

from tfmp import quantizers
from tfmp.graph import Candidates, CodeFormat


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
