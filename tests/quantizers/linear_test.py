import numpy as np
import pytest
import tensorflow as tf

from tfmp.quantizers import Linear


def kernel(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * rng.uniform(0.1, 10, size=shape[-2:])).astype(np.float32)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(("channel_axes", "kept"), [((-1,), (3,)), ((-2, -1), (2, 3))], ids=["conv", "depthwise"])
def test_one_step_per_output_channel(bits, channel_axes, kept):
    x = kernel((3, 2, 4, 5))
    integers, scale = Linear(bits=bits).codes(tf.constant(x), {}, channel_axes=channel_axes)
    axes = tuple(axis for axis in range(4) if axis not in kept)
    high = 2 ** (bits - 1) - 1
    step = np.abs(x.astype(np.float64)).max(axis=axes, keepdims=True) / high
    np.testing.assert_allclose(scale, step, rtol=1e-6)
    clear = np.abs((x / step) % 1 - 0.5) > 1e-4
    np.testing.assert_array_equal(integers.numpy()[clear], np.rint(x / step)[clear])
    np.testing.assert_array_equal(np.abs(integers).max(axis=axes), np.full(np.squeeze(step, axes).shape, high))
    output = Linear(bits=bits)(tf.constant(x), {}, channel_axes=channel_axes)
    assert np.all(np.abs(output - x) <= step / 2 * (1 + 1e-5))


def test_one_step_for_a_kernel_by_name():
    x = kernel((3, 4))
    _, scale = Linear(bits=4, granularity="tensor").codes(tf.constant(x), {}, channel_axes=(-1,))
    np.testing.assert_allclose(scale, np.abs(x).max() / 7, rtol=1e-6)


@pytest.mark.parametrize("signed", [True, False])
def test_one_step_for_a_batch_of_activations(signed):
    x = np.abs(kernel((6, 3, 2))) if not signed else kernel((6, 3, 2))
    _, scale = Linear(bits=8, signed=signed).codes(tf.constant(x), {})
    assert scale.shape == ()
    np.testing.assert_allclose(scale, np.abs(x).max() / (127 if signed else 255), rtol=1e-6)


def test_gradient_is_the_identity_with_the_step_a_constant():
    x = tf.constant(kernel((3, 4)))
    upstream = tf.constant(kernel((3, 4), seed=1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = Linear(bits=3)(x, {}, channel_axes=(-1,))
    np.testing.assert_array_equal(tape.gradient(output, x, output_gradients=upstream), upstream)


def test_takes_numpy_arrays():
    x = kernel((3, 4))
    np.testing.assert_array_equal(
        Linear(bits=4)(x, {}, channel_axes=(-1,)), Linear(bits=4)(tf.constant(x), {}, channel_axes=(-1,))
    )
    assert Linear(bits=4).codes(x, {}, channel_axes=(-1,))[1].shape == (1, 4)


def test_a_largest_value_measured_elsewhere_is_taken():
    x, largest = kernel((3, 4)), np.float32([0.5, 1, 2, 3])
    integers, scale = Linear(bits=8).codes(tf.constant(x), {"largest": largest}, channel_axes=(-1,))
    np.testing.assert_allclose(scale, largest / 127, rtol=1e-6)
    np.testing.assert_array_equal(integers, np.rint(np.clip(x, -largest, largest) / np.asarray(scale)))
