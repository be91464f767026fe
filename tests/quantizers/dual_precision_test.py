"""The quantizer of DualPrecision against an independent statement of its equations in float64."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from tfmp import quantizers
from tfmp.quantizers import DualPrecision
from tfmp.search.search_settings import quantizer_pair


def statement(filters, bits, clip_ratio):
    """Eq. 1, 3, 4 on `[filters, weights]`, weight by weight."""
    quantized = np.zeros(filters.shape)
    for i, weights in enumerate(filters.astype(np.float64)):
        mean = np.abs(weights).sum() / len(weights)
        for j, weight in enumerate(weights):
            if bits == 1:
                quantized[i, j] = mean if weight >= 0 else -mean
            elif bits == 2:
                quantized[i, j] = 0.0 if abs(weight) < 0.7 * mean else np.sign(weight) * mean
            else:
                clip = mean / clip_ratio
                step = clip / (2 ** (bits - 1) - 1)
                quantized[i, j] = np.rint(min(max(weight, -clip), clip) / step) * step
    return quantized


@pytest.mark.default_cases("1", "2", "4", "8")
@pytest.mark.parametrize("bits", range(1, 9))
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([1e-4, 1.0, 30.0]))
def test_equals_the_equations(bits, seed, scale):
    kernel = (np.random.default_rng(seed).normal(size=(3, 3, 4, 5)) * scale).astype(np.float32)
    quantizer = DualPrecision(bits)
    got = quantizer(kernel, {}, channel_axes=(-1,)).numpy()
    ratio = quantizer.clip_ratio if bits > 2 else None
    expected = statement(kernel.reshape(-1, 5).T, bits, ratio).T.reshape(kernel.shape)
    step = np.abs(kernel).mean(axis=(0, 1, 2)) * (0.7 if bits < 3 else 1 / (ratio * quantizer.high))
    differs = np.abs(got - expected) > 1e-5 * np.abs(expected).max()
    # float32 may put a weight that lies on a threshold on its other side
    position = np.abs(kernel) / step
    thresholds = {1: 0.0, 2: 1.0}.get(bits, np.floor(position) + 0.5)
    on_threshold = np.abs(position - thresholds) < (1e-6 if bits == 1 else 1e-4)
    assert not np.any(differs & ~on_threshold)


def test_depthwise_filters_have_a_mean_each():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 4, 2)).astype(np.float32)
    got = DualPrecision(1)(kernel, {}, channel_axes=(-2, -1)).numpy()
    np.testing.assert_allclose(np.abs(got), np.broadcast_to(np.abs(kernel).mean((0, 1)), kernel.shape), rtol=1e-6)


@pytest.mark.parametrize("bits", range(3, 9))
def test_clip_is_the_brute_force_minimum(bits):
    """The squared error of a unit Gaussian, integrated numerically, over clips searched without the library."""
    levels = 2 ** (bits - 1) - 1
    x = np.linspace(0, 12, 400_001)
    density = stats.norm.pdf(x)

    def error(clip):
        step = clip / levels
        return integrate.simpson((x - np.rint(np.minimum(x, clip) / step) * step) ** 2 * density, x=x)

    best = optimize.minimize_scalar(error, bounds=(1.0, 6.0), method="bounded", options={"xatol": 1e-7}).x
    sample_mean = np.sqrt(2 / np.pi)
    assert sample_mean / DualPrecision(bits).clip_ratio == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("bits", [3, 4])
def test_clip_suits_a_sample(bits):
    weights = np.random.default_rng(0).normal(0, 0.3, 200_000)
    levels, mean = 2 ** (bits - 1) - 1, np.abs(weights).mean()

    def error(ratio):
        step = mean / ratio / levels
        return np.mean((weights - np.rint(np.clip(weights / step, -levels, levels)) * step) ** 2)

    ratio = DualPrecision(bits).clip_ratio
    assert error(ratio) <= min(error(0.93 * ratio), error(1.07 * ratio))


@pytest.mark.parametrize("bits", [1, 2, 3, 8])
def test_gradient_is_the_identity(bits):
    kernel = tf.constant(np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32) * 5)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        loss = tf.reduce_sum(DualPrecision(bits)(kernel, {}, channel_axes=(-1,)) * 3.0)
    np.testing.assert_array_equal(tape.gradient(loss, kernel), np.full((9, 4), 3.0))


def test_zero_is_positive_at_one_bit():
    kernel = np.array([[0.0], [2.0]], np.float32)
    np.testing.assert_array_equal(DualPrecision(1)(kernel, {}, channel_axes=(-1,)), [[1.0], [1.0]])


def test_activations_take_moving_ranges():
    assert quantizer_pair("dual_precision") == ("dual_precision", "moving_range")
    assert quantizer_pair(("dual_precision", "lsq")) == ("dual_precision", "lsq")
    with pytest.raises(ValueError, match='for kernels.*"moving_range"'):
        quantizer_pair(("lsq", "dual_precision"))
    with pytest.raises(ValueError, match="which have both signs"):
        quantizers.get("dual_precision", bits=2, signed=False)
