import dataclasses

import pytest

from tfmp.simulator import Hardware
from tfmp.simulator.fusion_unit import fusion_factor

BIT_FUSION = Hardware.from_preset("bit_fusion")


def test_factor_of_each_operand():
    assert [fusion_factor(8, bits, BIT_FUSION) for bits in range(1, 9)] == [4, 4, 2, 2, 1, 1, 1, 1]
    assert [fusion_factor(bits, 8, BIT_FUSION) for bits in range(1, 9)] == [4, 4, 2, 2, 1, 1, 1, 1]


def test_factors_multiply():
    assert fusion_factor(2, 2, BIT_FUSION) == 16
    assert fusion_factor(4, 2, BIT_FUSION) == 8


@pytest.mark.parametrize(("max_bits", "min_bits", "factor"), [(4, 2, 4), (8, 4, 4), (8, 8, 1), (8, 1, 64)])
def test_factor_follows_the_hardware(max_bits, min_bits, factor):
    hardware = dataclasses.replace(BIT_FUSION, max_bits=max_bits, min_bits=min_bits)
    assert fusion_factor(1, 1, hardware) == factor
