"""Steps of least squared error against plain numerical integration."""

import numpy as np
import pytest

from tfmp.quantizers.least_squares import data_step, gaussian_step

# Midpoint rule: x is dense enough for 8 bits, whose levels are 0.03 apart.
_WIDTH = 1e-3
_X = np.arange(-7, 7, _WIDTH) + _WIDTH / 2
_MASS = np.exp(-np.square(_X) / 2) / np.sqrt(2 * np.pi) * _WIDTH


def squared_error(step, low, high, offset, half):
    """E[(x - Q(x))**2], over x > 0 alone if `half`; without a zero among the levels nothing maps to it."""
    x, mass = (_X[_X > 0], _MASS[_X > 0]) if half else (_X, _MASS)
    quantized = (np.clip(np.rint(x / step - offset), low, high) + offset) * step
    return float((mass * np.square(x - quantized)).sum())


@pytest.mark.parametrize(
    ("low", "high", "offset", "half"),
    [
        *[(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0.5, False) for bits in (1, 2, 3, 4, 8)],  # HWGQ weights
        *[(1, 2**bits - 1, 0.0, True) for bits in (1, 2, 3, 4, 8)],  # HWGQ activations
        *[(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, 0.0, False) for bits in (2, 3, 5, 7)],  # LSQ, signed
        *[(0, 2**bits - 1, 0.0, True) for bits in (1, 2, 4, 8)],  # LSQ, unsigned
        (-127, 127, 0.0, False),
    ],
)
def test_no_other_step_has_less_error(low, high, offset, half):
    step = gaussian_step(low, high, offset, half=half)
    error = squared_error(step, low, high, offset, half)
    near, far = step * np.linspace(0.9, 1.1, 41), np.geomspace(step / 20, step * 20, 60)
    others = np.concatenate([near, far])
    errors = np.array([squared_error(other, low, high, offset, half) for other in others])
    assert error <= errors.min() * (1 + 1e-5)
    best = others[np.argmin(errors)]
    assert abs(best / step - 1) <= 0.005 + 1e-9  # one step of the near grid


def test_closed_forms():
    # One level at +-s: E|x|. The half with levels 0, s is optimal where s = E[x | x > s / 2].
    assert gaussian_step(-1, 0, 0.5) == pytest.approx(2 * np.sqrt(2 / np.pi), rel=1e-7)
    assert gaussian_step(1, 1, half=True) == pytest.approx(np.sqrt(2 / np.pi), rel=1e-7)
    step = gaussian_step(0, 1, half=True)
    beyond = _X > step / 2
    assert step == pytest.approx((_X * _MASS)[beyond].sum() / _MASS[beyond].sum(), rel=1e-3)


def samples(kind, count=4000):
    rng = np.random.default_rng(7)
    return {
        "gaussian": rng.normal(0.3, 2.0, count),
        "heavy": rng.standard_t(3, count) * 0.01,
        "after_relu": np.maximum(rng.normal(size=count), 0),
    }[kind]


@pytest.mark.parametrize("kind", ["gaussian", "heavy", "after_relu"])
@pytest.mark.parametrize(
    ("low", "high", "offset"), [(-1, 0, 0.5), (-2, 1, 0.0), (0, 1, 0.0), (0, 3, 0.0), (-8, 7, 0.0), (-127, 127, 0.0)]
)
def test_no_other_step_fits_the_data_better(kind, low, high, offset):
    x = samples(kind)

    def error(step):
        return np.square(x - (np.clip(np.rint(x / step - offset), low, high) + offset) * step).mean()

    found = data_step(x, low, high, offset)
    least = min(error(step) for step in np.abs(x).max() * np.geomspace(1e-3, 4, 800))
    # The error has dents as narrow as one sample's: what remains beside the best of 800 steps is small.
    assert error(found) <= 1.02 * least + 1e-12


def test_steps_follow_the_unit_and_come_close_to_the_gaussian_ones():
    x = np.random.default_rng(0).normal(size=200_000)  # more than are looked at
    for low, high in [(-2, 1), (-8, 7), (-127, 127)]:
        step = data_step(x, low, high)
        assert step == pytest.approx(gaussian_step(low, high), rel=0.05)
        assert data_step(1e-3 * x, low, high) == pytest.approx(1e-3 * step, rel=1e-3)
    assert data_step(np.zeros(5), -2, 1) == data_step(-np.ones(5), 0, 3) == 0.0


def test_one_step_fits_one_value():
    # Values 0 and 3: step 3 with one level beside zero, step 1 with three, are without error.
    values = np.array([0.0, 3.0, 0.0, 3.0])
    assert data_step(values, 0, 1) == pytest.approx(3.0, rel=1e-3)
    assert data_step(np.array([-2.0, 2.0]), -1, 0, 0.5) == pytest.approx(4.0, rel=1e-3)
