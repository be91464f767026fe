import argparse

import pytest

from tfmp.cli.argument_types import bit_pair, byte_size, cost_bound


@pytest.mark.parametrize(
    ("text", "size"),
    [("90000", 90_000), ("256k", 2**18), ("256K", 2**18), ("256kB", 2**18), ("256 KiB", 2**18), ("1.5M", 3 * 2**19)],
)
def test_sizes(text, size):
    assert byte_size(text) == size


@pytest.mark.parametrize("text", ["", "k", "-1", "0", "0.0001k", "12b", "1G", "nan", "1 2k"])
def test_what_is_no_size(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be"):
        byte_size(text)


def test_bits_are_named_as_in_reports_or_by_two_numbers():
    assert bit_pair("4,8") == bit_pair("W4A8") == bit_pair("w4a8") == (4, 8)
    assert cost_bound("bitops=W4A8") == cost_bound("bitops=4,8") == ("bitops", None, (4, 8))
    for text in ("W4", "W4A", "4", "4,8,2", "W0A4"):
        with pytest.raises(argparse.ArgumentTypeError, match="must be two integers"):
            bit_pair(text)
