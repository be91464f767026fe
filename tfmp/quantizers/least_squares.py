"""The uniform quantizer of least squared error for a unit Gaussian."""

import functools
import math

import numpy as np
from scipy import optimize, special


@functools.cache
def gaussian_step(low, high, offset=0.0, *, half=False):
    """Returns the step for which levels `(k + offset) * step`, `low <= k <= high`, fit a Gaussian best.

    Minimizes E[(x - Q(x))**2] for x of zero mean and unit variance. The expectation is exact (piecewise integrals of
    the normal density), so the result has the accuracy of the scalar minimization, about 1e-8.

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
    result = optimize.minimize_scalar(
        lambda step: _expected_error(levels * step, half),
        bounds=(best / 1.05, best * 1.05),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return float(result.x)


def _expected_error(levels, half):
    start = 0.0 if half else -math.inf
    edges = np.concatenate([[start], (levels[1:] + levels[:-1]) / 2, [math.inf]])
    density = np.exp(-np.square(edges) / 2) / math.sqrt(2 * math.pi)
    cumulative = special.ndtr(edges)
    finite = np.where(np.isfinite(edges), edges, 0.0)
    # The antiderivative of (x - l)**2 phi(x) is (1 + l**2) Phi(x) - (x - 2 l) phi(x).
    upper = (1 + levels**2) * cumulative[1:] - (finite[1:] - 2 * levels) * density[1:]
    lower = (1 + levels**2) * cumulative[:-1] - (finite[:-1] - 2 * levels) * density[:-1]
    return float((upper - lower).sum())
