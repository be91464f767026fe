import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from tfmp import quantizers
from tfmp.graph import Candidates, Layer, LayerShape
from tfmp.transform.reconstruction.soft_rounding import SoftRounding

SHAPE = LayerShape("dense", "dense", in_channels=6, out_channels=3)


def dense(kernel, bits, quantizer="lsq"):
    """A fixed dense layer with a step of least squared error."""
    chosen = quantizers.get(quantizer, bits=bits)
    state = {name: np.asarray(value) for name, value in chosen.least_squares_state(kernel, channel_axes=(-1,)).items()}
    weight = Candidates.of([chosen], states=(state,))
    return Layer("dense", "dense", weights={"kernel": kernel}, shape=SHAPE, weight=weight)


def codes(layer, kernel):
    """The codes of a kernel and the values of all levels, per channel or for the tensor, as the quantizer has them."""
    chosen = quantizers.get(layer.weight.quantizer, bits=layer.weight.bits[0])
    found, scale = chosen.codes(tf.constant(kernel), layer.weight.state, channel_axes=(-1,))
    return np.asarray(found), np.asarray(scale)


kernels = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).standard_t(3, size=(6, 3)).astype(np.float32)
)


@hypothesis.given(kernels, st.sampled_from([1, 2, 3, 4, 8]), st.integers(0, 100))
@hypothesis.settings(max_examples=40, deadline=None)
def test_rounded_kernels_are_on_one_of_the_two_levels_around_each_value(kernel, bits, seed):
    layer = dense(kernel, bits)
    rounding = SoftRounding(layer)
    assert rounding.is_learnable
    low, high = layer.weight.formats[0].code_range
    _, scale = codes(layer, kernel)
    # A soft kernel starts where the kernel is, as far as the levels reach.
    np.testing.assert_allclose(rounding(), np.clip(kernel, low * scale, high * scale), rtol=1e-4, atol=1e-5)
    up = np.random.default_rng(seed).integers(2, size=kernel.shape)
    rounding.logits.assign(np.where(up, 20.0, -20.0))
    np.testing.assert_allclose(rounding(), rounding.rounded(), rtol=1e-5)
    assert float(rounding.regularizer(2.0)) == pytest.approx(0, abs=1e-5)
    found, _ = codes(layer, rounding.rounded())
    np.testing.assert_array_equal(rounding.rounded(), (found * scale).astype(np.float32))
    between = np.clip(kernel.astype(np.float64) / scale, low, high)
    apart = 2 if bits == 1 else 1  # codes of one bit are odd
    assert np.all(np.abs(found - between) <= apart * (1 + 1e-5))
    inside = np.abs(between - np.round(between)) > 1e-3
    if bits > 1:
        np.testing.assert_array_equal((found > between)[inside], up.astype(bool)[inside])


def test_a_step_that_follows_from_the_largest_value_stays():
    kernel = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    layer = dense(kernel, 4, "linear")
    rounding = SoftRounding(layer)
    assert rounding.is_learnable
    rounding.logits.assign(-20 * np.sign(kernel))  # towards zero, which the largest values must not follow
    found, scale = codes(layer, rounding.rounded())
    np.testing.assert_allclose(scale, codes(layer, kernel)[1], rtol=1e-6)
    assert np.all(np.abs(found).max(axis=0) == 7)
    np.testing.assert_array_equal(np.abs(found) < 7, np.abs(kernel / scale) < 6.999)


def test_levels_that_follow_from_all_values_cannot_be_learned():
    kernel = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    rounding = SoftRounding(dense(kernel, 3, "hwgq"))
    assert not rounding.is_learnable
    np.testing.assert_array_equal(rounding.rounded(), rounding.nearest())
