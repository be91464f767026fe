"""What arguments are turned into."""

import argparse


def bit_list(text):
    """Integers separated by commas."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected integers separated by commas, received {text!r}") from error


def bit_pair(text):
    """Bits of weights and activations."""
    bits = bit_list(text)
    if len(bits) != 2:
        raise argparse.ArgumentTypeError(f"expected two integers W,A, received {text!r}")
    return bits
