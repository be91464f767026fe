"""Functions in fixed point, as gemmlowp computes them.

Numbers between -1 and 1 are integers times 2**-31. The functions take and return int64 arrays of NumPy; those of
products, quotients and the reciprocal also take tensors.

Reference: https://github.com/google/gemmlowp/blob/master/fixedpoint/fixedpoint.h
"""

from typing import Any

import numpy as np

_ONE = 2**31 - 1  # the largest number below one
# exp(-2**k), from k = -2.
_EXPONENTIALS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_OF_EIGHTH, _THIRD = 1895147668, 715827883  # exp(-1/8), 1/3
_NEWTON_START, _NEWTON_SLOPE = 1515870810, -1010580540  # 48/17 and -32/17 with two integer bits


def high_product(x: Any, y: Any) -> Any:
    """Returns x * y / 2**31, rounded half up."""
    return (x * y + 2**30) // 2**31


def divided(x: Any, power: Any) -> Any:
    """Returns x divided by a power of two, rounded half away from zero."""
    return (2 * x + power + x // 2**62) // (2 * power)  # the last quotient is -1 for a negative x


def negative_exponential(x: np.ndarray, integer_bits: int) -> np.ndarray:
    """Returns exp(x) for x <= 0 with some integer bits, at most 5."""
    quarter = 2 ** (31 - integer_bits - 2)
    within = x % quarter - quarter
    remainder = within - x
    result = _exponential_below_quarter(within * 2**integer_bits)
    for number, factor in enumerate(_EXPONENTIALS[: integer_bits + 2]):
        result = np.where(remainder & (quarter << number), high_product(result, factor), result)
    return np.where(x == 0, _ONE, result)


def _exponential_below_quarter(x: np.ndarray) -> np.ndarray:
    """Returns exp(x) for -1/4 <= x < 0, by the Taylor series around -1/8."""
    x = x + 2**28
    square = high_product(x, x)
    cube, fourth = high_product(square, x), high_product(square, square)
    higher = divided(high_product(divided(fourth, 4) + cube, _THIRD) + square, 2)
    return _EXP_OF_EIGHTH + high_product(_EXP_OF_EIGHTH, x + higher)


def _inverse_of_half_sum(x: Any) -> Any:
    """Returns 2 / (1 + x) for 0 <= x < 1, with two integer bits, by three steps of Newton's method."""
    half = (x + _ONE + 1) // 2
    inverse = _NEWTON_START + high_product(half, _NEWTON_SLOPE)
    for _ in range(3):
        rest = 2**29 - high_product(half, inverse)
        inverse = inverse + 4 * high_product(inverse, rest)
    return inverse


def reciprocal(x: Any) -> Any:
    """Returns 1 / (1 + x) for 0 <= x < 1."""
    # Half of the inverse has one integer bit. The largest number stands for one.
    doubled = _inverse_of_half_sum(x) * 2
    return doubled - (doubled // 2**31) * (doubled - _ONE)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Returns the sigmoid of numbers with 4 integer bits."""
    positive = reciprocal(negative_exponential(-np.abs(x), 4))
    return np.select([x == 0, x > 0], [2**30, positive], _ONE - positive)


def tanh(x: np.ndarray) -> np.ndarray:
    """Returns the hyperbolic tangent of numbers with 4 integer bits."""
    exponential = negative_exponential(-np.abs(x), 5)  # of the double: one integer bit more
    magnitude = np.minimum((_inverse_of_half_sum(exponential) - 2**29) * 4, _ONE)
    return np.sign(x) * magnitude
