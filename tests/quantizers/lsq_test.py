import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from tests.quantizers.variable_state import build, numbers
from tfmp.quantizers import LSQ

ROLES = [(True, (-1,)), (True, None), (False, None)]


def tensor(signed, shape=(4, 6, 5), seed=0):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return x if signed else np.maximum(x, 0)


def extremes(bits, signed):
    """Q_N, Q_P of the paper; INT8 kernels leave out -128."""
    if not signed:
        return 0, 2**bits - 1
    return (127 if bits == 8 else 2 ** (bits - 1)), 2 ** (bits - 1) - 1


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize(("signed", "channel_axes"), ROLES)
def test_values_and_gradients_are_the_papers(bits, signed, channel_axes):
    """Esser et al., eq. 1 to 3 and 5, section 2.2."""
    x = tensor(signed)
    upstream = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    quantizer = LSQ(bits=bits, signed=signed)
    state = build(quantizer, channel_axes=channel_axes)
    step = 0.37 / math.sqrt(2**bits)
    state["step"].assign(step)
    step = float(state["step"])
    with tf.GradientTape() as tape:
        tape.watch(x_tensor := tf.constant(x))
        output = quantizer(x_tensor, state, channel_axes=channel_axes)
    dx, dstep = tape.gradient(output, [x_tensor, state["step"]], output_gradients=tf.constant(upstream))

    q_n, q_p = extremes(bits, signed)
    position = x.astype(np.float64) / step
    np.testing.assert_allclose(output, np.rint(np.clip(position, -q_n, q_p)) * step, rtol=1e-5, atol=1e-7)
    inside = (position >= -q_n) & (position <= q_p)
    np.testing.assert_array_equal(dx, np.where(inside, upstream, 0))
    slope = np.where(inside, np.rint(position) - position, np.where(position < 0, -q_n, q_p))
    num_values = x.size if channel_axes else x.size / len(x)  # weights; features of one sample
    np.testing.assert_allclose(dstep, (upstream * slope).sum() / math.sqrt(num_values * q_p), rtol=1e-4, atol=1e-5)


def test_one_signed_bit_has_two_levels_around_zero():
    x, upstream, step = tensor(True), tensor(True, seed=1), 0.7
    state = build(LSQ(bits=1), channel_axes=(-1,))
    state["step"].assign(step)
    with tf.GradientTape() as tape:
        tape.watch(x_tensor := tf.constant(x))
        output = LSQ(bits=1)(x_tensor, state, channel_axes=(-1,))
    dx, dstep = tape.gradient(output, [x_tensor, state["step"]], output_gradients=tf.constant(upstream))
    np.testing.assert_allclose(output, np.where(x > 0, step, -step), rtol=1e-6)
    inside = np.abs(x) <= step
    np.testing.assert_array_equal(dx, np.where(inside, upstream, 0))
    # v = s q(x / s) with q = sign and the identity for its gradient inside: dv/ds = sign(x) - x / s there.
    slope = np.sign(x) - np.where(inside, x / step, 0)
    np.testing.assert_allclose(dstep, (upstream * slope).sum() / math.sqrt(x.size), rtol=1e-4)
    integers, scale = LSQ(bits=1).codes(x_tensor, state, channel_axes=(-1,))
    np.testing.assert_array_equal(integers, np.sign(x))
    np.testing.assert_allclose(scale, step, rtol=1e-6)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_initial_step_is_the_papers(bits, signed):
    x = tensor(signed)
    q_p = extremes(bits, signed)[1]
    expected = 2 * np.abs(x.astype(np.float64)).mean() / math.sqrt(q_p)
    assert LSQ(bits=bits, signed=signed).initial_state(x)["step"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_fitted_step_has_the_least_error_on_gaussian_data(bits, signed):
    x = 2.5 * special.ndtri((np.arange(400_000) + 0.5) / 400_000)  # a Gaussian without sampling noise
    x = x if signed else np.maximum(x, 0)
    quantizer = LSQ(bits=bits, signed=signed)
    fitted = float(quantizer.fitted_state(x)["step"])
    q_n, q_p = extremes(bits, signed)

    def error(step):
        if signed and bits == 1:
            return np.mean((np.abs(x) - step) ** 2)
        return np.mean((np.rint(np.clip(x / step, -q_n, q_p)) * step - x) ** 2)

    others = fitted * np.array([0.8, 0.9, 0.95, 1.05, 1.1, 1.25])
    assert all(error(fitted) < error(other) for other in others)


def test_first_batch_sets_the_step_once():
    quantizer = LSQ(bits=3, signed=False)
    state = build(quantizer)
    assert numbers(state) == pytest.approx({"step": quantizer.unit_step, "seen": 0.0})
    x = 4 * tensor(False)
    observe = tf.function(lambda x: quantizer.observe(x, state))
    observe(tf.constant(x))
    first = numbers(state)
    deviation = np.sqrt(np.mean(np.square(x[x > 0], dtype=np.float64)))
    assert first == pytest.approx({"step": deviation * quantizer.unit_step, "seen": 1.0}, rel=1e-5)
    assert first["step"] == pytest.approx(float(quantizer.fitted_state(x)["step"]), rel=1e-5)
    observe(tf.constant(100 * x))
    assert numbers(state) == first


@pytest.mark.parametrize("signed", [True, False])
def test_first_batch_and_calibration_agree_on_signed_data_with_zeros(signed):
    quantizer = LSQ(bits=4, signed=signed)
    x = np.where(np.random.default_rng(5).uniform(size=(4, 30)) < 0.5, 0, tensor(signed, (4, 30)))
    state = build(quantizer)
    quantizer.observe(tf.constant(x, tf.float32), state)
    assert float(state["step"]) == pytest.approx(float(quantizer.fitted_state(x)["step"]), rel=1e-5)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("shape", [(4, 3), (0, 3)])
def test_batches_without_information_leave_the_step_to_the_next(signed, shape):
    quantizer = LSQ(bits=4, signed=signed)
    state = build(quantizer)
    quantizer.observe(tf.zeros(shape), state)
    assert numbers(state) == pytest.approx({"step": quantizer.unit_step, "seen": 0.0})
    x = 7 * tensor(signed)
    quantizer.observe(tf.constant(x), state)
    assert numbers(state) == pytest.approx({"step": float(quantizer.fitted_state(x)["step"]), "seen": 1.0}, rel=1e-5)


@pytest.mark.parametrize("start", ["initial_state", "fitted_state"])
def test_an_all_zero_kernel_starts_as_one_of_unit_variance(start):
    for bits in (1, 2, 8):
        assert getattr(LSQ(bits=bits), start)(np.zeros((3, 4)))["step"] == pytest.approx(LSQ(bits=bits).unit_step)


def test_a_step_driven_below_zero_comes_back():
    state = build(LSQ(bits=3), channel_axes=(-1,))
    state["step"].assign(-0.05)
    x = tf.constant(tensor(True))
    for _ in range(200):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(LSQ(bits=3)(x, state, channel_axes=(-1,)) - x))
        gradient = tape.gradient(loss, state["step"])
        assert np.isfinite(gradient)
        state["step"].assign_sub(0.5 * gradient)
    assert 0.2 < float(state["step"]) < 1.0  # least squares for a unit Gaussian: 0.586


def test_candidates_of_one_range_keep_the_least_squares_ratios():
    widest = LSQ(bits=4)
    state = build(widest, channel_axes=(-1,))
    state["step"].assign(0.08)
    x = tf.constant(tensor(True))
    for bits in (1, 2, 3, 4):
        quantizer = LSQ(bits=bits)
        levels = quantizer.grid(x, state, widest=widest, channel_axes=(-1,))
        spacing = 2 if bits == 1 else 1  # of -s, +s
        expected = 0.08 * quantizer.unit_step / widest.unit_step * spacing
        np.testing.assert_allclose(levels.step, expected, rtol=1e-6)
