"""What arguments are turned into."""

import argparse


def bit_list(text):
    """Integers separated by commas."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected integers separated by commas, received {text!r}") from error


def positive_integer(text):
    """An integer from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer, 1 or more, received {text!r}")
    return int(text)


def cost_bound(text):
    """A cost with its bound: `(cost, limit, like_uniform)`, one of the last two None."""
    cost, separator, bound = text.rpartition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"expected COST=W,A or COST=LIMIT, received {text!r}")
    if "," in bound:
        return cost, None, bit_pair(bound)
    try:
        return cost, float(bound), None
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected two integers W,A or a number behind =, received {text!r}"
        ) from error


def bit_pair(text):
    """Bits of weights and activations."""
    bits = bit_list(text)
    if len(bits) != 2:
        raise argparse.ArgumentTypeError(f"expected two integers W,A, received {text!r}")
    return bits
