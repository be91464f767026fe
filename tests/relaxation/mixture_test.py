"""Mixtures of quantizers, and of kernels that are slices of one kernel."""

import numpy as np
import pytest
import tensorflow as tf

from tests.quantizers.variable_state import build
from tfmp import quantizers, relaxation
from tfmp.relaxation.mixture import centres

WEIGHTS = np.array([0.2, 0.5, 0.3], np.float32)


def candidates(name, bits=(2, 3, 4), *, signed=True, shared=True, channel_axes=None):
    """Quantizers, one state or one each, and a tensor."""
    x = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    x = x if signed else np.abs(x)
    family = [quantizers.get(name, bits=b, signed=signed) for b in bits]
    if shared:
        states = [build(family[-1], channel_axes=channel_axes, values=x, start="fitted_state")] * len(family)
    else:
        states = [build(quantizer, channel_axes=channel_axes, values=x) for quantizer in family]
    return x, family, states


def alone(x, family, states, shared, channel_axes=None):
    """Quantizes each candidate separately, each with its own state."""
    found = []
    for quantizer, state in zip(family, states, strict=True):
        own = build(quantizer, channel_axes=channel_axes, shape=None if channel_axes is None else x.shape)
        values = {name: variable.numpy() for name, variable in state.items()}
        for name, value in (quantizer.convert_state(values, family[-1]) if shared else values).items():
            own[name].assign(value)
        found.append(quantizer(tf.constant(x), own, channel_axes=channel_axes).numpy().astype(np.float64))
    return np.stack(found)


CASES = [
    ("lsq", {"channel_axes": (-1,)}),
    ("lsq(granularity='tensor')", {"channel_axes": (-1,)}),
    ("lsq", {"signed": False}),
    ("lsq", {"shared": False, "bits": (1, 2, 8)}),
    ("hwgq", {"bits": (1, 2, 4), "channel_axes": (-1,)}),
    ("hwgq", {"signed": False}),
    ("linear", {"channel_axes": (-1,)}),
    ("moving_range", {"bits": (2, 4, 8)}),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_mixture_is_the_weighted_sum_of_the_candidates(name, options):
    x, family, states = candidates(name, **options)
    common = {"shared": options.get("shared", True), "channel_axes": options.get("channel_axes")}
    separate = alone(x, family, states, **common)
    found = relaxation.mixture(tf.constant(x), family, states, WEIGHTS, **common)
    np.testing.assert_allclose(found, np.tensordot(WEIGHTS.astype(np.float64), separate, 1), rtol=1e-5, atol=1e-5)
    for chosen in range(3):
        hard = relaxation.mixture(tf.constant(x), family, states, tf.one_hot(chosen, 3), **common)
        np.testing.assert_allclose(hard, separate[chosen], rtol=1e-6)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_relative_variance_is_the_formula(name, options):
    x, family, states = candidates(name, **options)
    common = {"shared": options.get("shared", True), "channel_axes": options.get("channel_axes")}
    separate = alone(x, family, states, **common)
    mean = np.tensordot(WEIGHTS.astype(np.float64), separate, 1)
    expected = sum(w * np.sum((q - mean) ** 2) for w, q in zip(WEIGHTS, separate, strict=True)) / np.sum(mean**2)
    assert expected > 1e-3
    for tensor in (tf.constant(x), x):
        found = relaxation.relative_variance(tensor, family, states, WEIGHTS, **common)
        assert float(found) == pytest.approx(expected, rel=1e-4)


def test_relative_variance_is_zero_for_a_decided_choice_and_finite_for_zeros():
    x, family, states = candidates("lsq")
    assert float(relaxation.relative_variance(x, family, states, np.eye(3, dtype=np.float32)[1])) == 0
    assert float(relaxation.relative_variance(np.zeros_like(x), family, states, WEIGHTS)) == 0


def test_one_step_is_trained_by_all_candidates_or_by_the_chosen_one():
    x, family, states = candidates("lsq", channel_axes=(-1,))
    step = states[0]["step"]

    def gradient(weights):
        with tf.GradientTape() as tape:
            output = relaxation.mixture(x, family, states, tf.constant(weights), channel_axes=(-1,))
        return tape.gradient(output, step).numpy()

    each = np.stack([gradient(np.eye(3, dtype=np.float32)[i]) for i in range(3)])
    assert each.shape == (3, 1, 1, 3) and np.all(np.abs(each) > 1e-4)
    np.testing.assert_allclose(gradient(WEIGHTS), np.tensordot(WEIGHTS, each, 1), rtol=1e-4)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_candidates_with_tensors_of_their_own(name, options):
    x, family, states = candidates(name, **options)
    common = {"shared": options.get("shared", True), "channel_axes": options.get("channel_axes")}
    tensors = tuple(tf.constant(x * scale) for scale in (0.5, 1.0, 1.5))
    separate = np.stack([alone(t.numpy(), family, states, **common)[i] for i, t in enumerate(tensors)])
    for one, expected in zip(relaxation.quantized(tensors, family, states, **common), separate, strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-6, atol=1e-6)
    mean = np.tensordot(WEIGHTS.astype(np.float64), separate, 1)
    found = relaxation.mixture(tensors, family, states, tf.constant(WEIGHTS), **common)
    np.testing.assert_allclose(found, mean, rtol=1e-5, atol=1e-5)
    spread = sum(w * np.sum((q - mean) ** 2) for w, q in zip(WEIGHTS, separate, strict=True)) / np.sum(mean**2)
    assert float(relaxation.relative_variance(tensors, family, states, WEIGHTS, **common)) == pytest.approx(
        spread, 1e-4
    )


@pytest.mark.parametrize("strides", [1, 2, 3, 4])
def test_centre_of_a_kernel_is_the_smaller_kernel(strides):
    """With zeros around it, for every size of the image, as long as it leaves no pixel out."""
    rng = np.random.default_rng(strides)
    kernel = rng.normal(size=(7, 7, 2, 1)).astype(np.float32)
    sides = [side for side in (1, 3, 5, 7) if side >= strides]
    for size in range(5, 13):
        image = rng.normal(size=(1, size, size, 2)).astype(np.float32)
        for side, mask in zip(sides, centres(sides), strict=True):
            edge = (7 - side) // 2
            smaller = kernel[edge : 7 - edge, edge : 7 - edge]
            found, expected = (
                tf.nn.depthwise_conv2d(image, each, [1, strides, strides, 1], "SAME")
                for each in (kernel * mask, smaller)
            )
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
