"""Prices that users give."""

import math
import numbers


def checked_price(value, where: str) -> float:
    """Returns a price as a float.

    Args:
        value: What was given.
        where: What errors call its place.

    Raises:
        ValueError: If it is no number, negative or not finite.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (is_number and 0 <= value < math.inf):
        raise ValueError(f"{where}: a price must be a finite number, not negative. Received: {value!r}")
    return float(value)
