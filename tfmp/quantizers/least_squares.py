"""Uniform quantizers of least squared error, for a Gaussian and for data."""

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from tfmp.quantizers.channels import shape_of_step


@functools.cache
def gaussian_step(low: int, high: int, offset: float = 0.0, *, half: bool = False) -> float:
    """Returns the step with which the levels `(k + offset) * step`, `low <= k <= high`, best fit a Gaussian.

    Minimizes E[(x - Q(x))**2] for x of zero mean and unit variance. The expectation and its derivative are exact
    (piecewise integrals of the normal density); the result is a zero of the derivative to about 1e-12.

    Args:
        low: Smallest k.
        high: Largest k.
        offset: 0 for mid-tread levels, 1/2 for mid-rise ones.
        half: If True, x is restricted to positive values, the distribution after a ReLU.

    Returns:
        The step, a float in units of the standard deviation.
    """
    levels = np.arange(low, high + 1) + offset
    if half:
        levels = levels[levels >= 0]
    upper = 8.0 / max(1.0, np.abs(levels).max()) + 2.0
    grid = np.geomspace(1e-3, upper, 400)
    best = grid[np.argmin([_expected_error(levels * step, half) for step in grid])]
    return float(optimize.brentq(lambda step: _slope(levels, step, half), best / 1.05, best * 1.05, xtol=1e-12))


_MAX_VALUES = 2**16
_NUM_STEPS = 40
_FINEST = 1 / 64  # of the step that clips nothing


def data_step(values: ArrayLike, low: int, high: int, offset: float = 0.0) -> float:
    """Returns the step with which the levels `(k + offset) * step`, `low <= k <= high`, best fit the given values.

    Minimizes the mean of (x - Q(x))**2 over the values, or over a sample of 65,536 if there are more.

    Args:
        values: Array of any shape.
        low: Smallest k.
        high: Largest k.
        offset: 0 for mid-tread levels, 1/2 for mid-rise ones.

    Returns:
        The step, a float in units of the values; 0 if no value is on a side of zero that has levels.
    """
    values = np.asarray(values, np.float64).ravel()
    if values.size > _MAX_VALUES:  # a random sample, because every n-th value may belong to one channel
        values = np.random.default_rng(0).choice(values, _MAX_VALUES)
    reached = values if low + offset < 0 else values[values > 0]
    if not reached.size or not np.abs(reached).max():
        return 0.0
    narrow = min(side for side in (abs(low + offset), abs(high + offset)) if side > 0)

    def error(step):
        return float(np.square(values - (np.clip(np.rint(values / step - offset), low, high) + offset) * step).mean())

    # Tries steps that clip nothing down to steps that clip nearly everything: the error has many local minima.
    steps = np.abs(reached).max() / narrow * np.geomspace(_FINEST, 1, _NUM_STEPS)
    best = int(np.argmin([error(step) for step in steps]))
    bounds = steps[max(best - 1, 0)], steps[min(best + 1, _NUM_STEPS - 1)]
    result = optimize.minimize_scalar(error, bounds=bounds, method="bounded", options={"xatol": 1e-4 * bounds[1]})
    return float(result.x if result.fun <= error(steps[best]) else steps[best])


_MAX_TRIED_VALUES = 2**19
_NUM_TRIES = (32, 800)  # the error of few values has many narrow minima
_COARSEST = 1.5  # of the step that clips nothing: few values may all lie near levels of a step above it
_MAX_VALUES_AT_ONCE = 2**14  # tried with several steps: what the caches hold
_NUM_REFINEMENTS = 2
_MIN_ROWS = 256


def channel_steps(
    values: ArrayLike, channel_axes: Sequence[int], low: int, high: int, offset: float = 0.0
) -> np.ndarray:
    """Returns, for each channel, the step with which the levels `(k + offset) * step` best fit its values.

    Tries the codes of a geometric series of steps, for all channels at once, on a sample of a large kernel. From the
    best of them, alternates between the step of least squared error for some codes and the codes of this step, which
    never increases the error.

    Args:
        values: Array with the channels.
        channel_axes: Negative axes of the channels.
        low: Smallest k, below zero.
        high: Largest k.
        offset: 0 for mid-tread levels, 1/2 for mid-rise ones.

    Returns:
        Array of float32 that broadcasts to the values; 0 for a channel of zeros.
    """
    values = np.asarray(values, np.float32)
    shape = shape_of_step(values.shape, channel_axes)
    values = np.moveaxis(values, channel_axes, range(-len(channel_axes), 0)).reshape(-1, math.prod(shape))
    largest = np.abs(values).max(axis=0, initial=0.0)
    narrow = min(side for side in (abs(low + offset), abs(high + offset)) if side > 0)
    limit = np.where(largest > 0, largest, np.float32(1)) / np.float32(narrow)
    num_rows = max(_MIN_ROWS, _MAX_VALUES // values.shape[1])
    sample = values if len(values) <= num_rows else np.random.default_rng(0).permutation(values)[:num_rows]

    def fitted(values, steps):
        """Returns the step of least squared error for the codes of some steps, and by how much it reduces the error."""
        found = np.divide(values, steps)
        found -= np.float32(offset)
        np.clip(np.rint(found, out=found), low, high, out=found)
        found += np.float32(offset)
        product = (values * found).sum(axis=-2, keepdims=True)
        power = np.square(found, out=found).sum(axis=-2, keepdims=True)
        fits = (product > 0) & (power > 0)
        gain = np.where(fits, np.square(product) / np.where(fits, power, 1), 0)
        return np.divide(product, power, out=steps.copy(), where=fits), gain

    best, most = limit, np.full(limit.shape, -1.0)
    num_tries = int(np.clip(_MAX_TRIED_VALUES // max(1, sample.size), *_NUM_TRIES))
    shares = np.geomspace(_FINEST, _COARSEST, num_tries, dtype=np.float32)
    together = max(1, _MAX_VALUES_AT_ONCE // max(1, sample.size))
    for start in range(0, num_tries, together):
        steps, gains = fitted(sample, shares[start : start + together, None, None] * limit)
        first = gains.argmax(axis=0, keepdims=True)
        step, gain = np.take_along_axis(steps, first, 0)[0], np.take_along_axis(gains, first, 0)[0]
        best, most = np.where(gain > most, step, best), np.maximum(gain, most)
    for _ in range(_NUM_REFINEMENTS):
        best, _ = fitted(values, best)
    return np.where(largest > 0, best, 0.0).reshape(shape)


def _expected_error(levels, half):
    edges, density, cumulative = _cells(levels, half)
    finite = np.where(np.isfinite(edges), edges, 0.0)
    # The antiderivative of (x - l)**2 phi(x) is (1 + l**2) Phi(x) - (x - 2 l) phi(x).
    upper = (1 + levels**2) * cumulative[1:] - (finite[1:] - 2 * levels) * density[1:]
    lower = (1 + levels**2) * cumulative[:-1] - (finite[:-1] - 2 * levels) * density[:-1]
    return float((upper - lower).sum())


def _slope(levels, step, half):
    """Returns half the derivative of the expected error of `levels * step` with respect to the step."""
    _, density, cumulative = _cells(levels * step, half)
    # The antiderivative of l (l step - x) phi(x) is l**2 step Phi(x) + l phi(x); edges contribute nothing.
    return float((levels**2 * step * np.diff(cumulative) + levels * np.diff(density)).sum())


def _cells(levels, half):
    """Returns the points where the nearest level changes, and the normal density and its integral there."""
    edges = np.concatenate([[0.0 if half else -math.inf], (levels[1:] + levels[:-1]) / 2, [math.inf]])
    return edges, np.exp(-np.square(edges) / 2) / math.sqrt(2 * math.pi), special.ndtr(edges)
