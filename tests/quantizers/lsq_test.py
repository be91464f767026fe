import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from tests.quantizers.variable_state import build, numbers
from tfmp import ops, quantizers
from tfmp.quantizers import LSQ

pytestmark = pytest.mark.compiled

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


def kernels():
    """Kernels whose channels differ in size, with the axes of their channels."""
    rng = np.random.default_rng(4)
    for shape, axes in [((3, 3, 5, 7), (-1,)), ((3, 3, 5, 2), (-2, -1)), ((3, 3, 4, 6), (-2,)), ((9, 6), (-1,))]:
        sizes = [size if axis - len(shape) in axes else 1 for axis, size in enumerate(shape)]
        yield (rng.normal(size=shape) * rng.uniform(0.01, 3, sizes)).astype(np.float32), axes, tuple(sizes)


def channels_of(kernel, axes):
    """The flat values of each channel, in the order of the flat steps."""
    return np.moveaxis(kernel, axes, range(len(axes))).reshape(math.prod(kernel.shape[axis] for axis in axes), -1)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_each_channel_is_fitted_as_a_kernel_of_its_own(bits):
    alone = LSQ(bits=bits, granularity="tensor")
    for kernel, axes, sizes in kernels():
        steps = LSQ(bits=bits).fitted_state(kernel, channel_axes=axes)["step"]
        assert steps.shape == sizes
        expected = [alone.fitted_state(channel)["step"] for channel in channels_of(kernel, axes)]
        np.testing.assert_allclose(steps.ravel(), expected, rtol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_other_steps_of_the_channels_have_no_less_error(bits):
    q_n, q_p = extremes(bits, True)
    for kernel, axes, _ in kernels():
        steps = LSQ(bits=bits).initial_state(kernel, channel_axes=axes)["step"].ravel()
        found = least = 0.0
        for channel, step in zip(channels_of(kernel, axes).astype(np.float64), steps, strict=True):

            def error(step, channel=channel):
                levels = np.rint(np.clip(channel / step, -q_n, q_p)) if bits > 1 else np.where(channel > 0, 1, -1)
                return np.square(channel - levels * step).sum() / np.square(channel).sum()

            found += error(step)
            least += min(map(error, np.abs(channel).max() * np.geomspace(0.25 / 2**bits, 2.5, 600)))
        assert found <= 1.05 * least


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_gradient_of_a_channel_is_that_of_a_kernel_of_its_own(bits):
    for kernel, axes, sizes in kernels():
        quantizer, alone = LSQ(bits=bits), LSQ(bits=bits, granularity="tensor")
        steps = quantizer.initial_state(kernel, channel_axes=axes)["step"]
        upstream = np.random.default_rng(1).normal(size=kernel.shape).astype(np.float32)

        def gradient(quantizer, x, step, upstream, axes):
            step = tf.constant(step)
            with tf.GradientTape() as tape:
                tape.watch(step)
                output = quantizer(x, {"step": step}, channel_axes=axes)
            return tape.gradient(output, step, output_gradients=tf.constant(upstream)).numpy()

        found = gradient(quantizer, kernel, steps, upstream, axes)
        assert found.shape == sizes
        channels = zip(channels_of(kernel, axes), steps.ravel(), channels_of(upstream, axes), strict=True)
        expected = [gradient(alone, channel, step, upstream, (-1,)) for channel, step, upstream in channels]
        np.testing.assert_allclose(found.ravel(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("start", ["initial_state", "fitted_state", "least_squares_state"])
def test_empty_and_tiny_channels_have_room_to_grow(start):
    kernel = tensor(True, shape=(3, 3, 5, 4))
    kernel[..., 1] = 0
    kernel[..., 2] *= 1e-12
    steps = getattr(LSQ(bits=4), start)(kernel, channel_axes=(-1,))["step"].ravel()
    assert steps[1] == pytest.approx(np.mean(steps[[0, 3]]) * 2 / 3, rel=0.01)  # the tiny one is near zero
    assert steps[2] == pytest.approx(1e-3 * steps[1], rel=0.01)


def test_one_step_for_a_kernel_by_name():
    for quantizer in ("lsq(granularity='tensor')", LSQ(bits=4, granularity="tensor")):
        assert quantizers.get(quantizer, bits=2) == LSQ(bits=2, granularity="tensor")
    kernel = tensor(True)
    state = build(LSQ(bits=2, granularity="tensor"), channel_axes=(-1,), values=kernel)
    assert state["step"].shape == ()
    assert build(LSQ(bits=2), channel_axes=(-1,), values=kernel)["step"].shape == (1, 1, 5)
    assert quantizers.name_of("lsq(granularity='channel')") == "lsq"
    with pytest.raises(ValueError, match="`granularity` must be one of 'channel', 'tensor'. Received: 'layer'"):
        LSQ(bits=2, granularity="layer")


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


@pytest.mark.parametrize("granularity", ["channel", "tensor"])
@pytest.mark.parametrize(("signed", "channel_axes"), ROLES)
def test_each_candidate_changes_the_shared_range_by_the_share_by_which_it_changes_its_own(
    signed, channel_axes, granularity
):
    """By the chain rule, 2 bits beside 8 change it 1,153 times as much: a step of training takes it below zero."""
    x, upstream = tensor(signed), tensor(True, seed=1)
    family = [LSQ(bits=bits, signed=signed, granularity=granularity) for bits in (8, 4, 2, *([1] if signed else []))]
    shape = x.shape if channel_axes else None
    state = build(family[0], channel_axes=channel_axes, shape=shape)
    state["step"].assign(tf.fill(state["step"].shape, 0.011))
    x_tensor, shares = tf.constant(x), []
    for number, quantizer in enumerate(family):
        with tf.GradientTape() as tape:
            grid = family[0].grids(x_tensor, state, family, channel_axes=channel_axes)[number]
            loss = tf.reduce_sum(ops.mix(x_tensor, (1.0,), (grid,)) * upstream)
        shares.append(np.asarray(tape.gradient(loss, state["step"]) / state["step"]))
        own = build(quantizer, channel_axes=channel_axes, shape=shape)
        own["step"].assign(quantizer.convert_state(state, family[0])["step"])
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(quantizer(x_tensor, own, channel_axes=channel_axes) * upstream)
        np.testing.assert_allclose(shares[-1], tape.gradient(loss, own["step"]) / own["step"], rtol=1e-3, atol=1e-4)
    with tf.GradientTape() as tape:
        grids = family[0].grids(x_tensor, state, family, channel_axes=channel_axes)
        loss = tf.add_n([tf.reduce_sum(ops.mix(x_tensor, (1.0,), (grid,)) * upstream) for grid in grids])
    np.testing.assert_allclose(tape.gradient(loss, state["step"]) / state["step"], sum(shares), rtol=1e-4, atol=1e-4)
