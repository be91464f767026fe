import numpy as np
import pytest
import tensorflow as tf

from tests.quantizers.variable_state import build, numbers
from tfmp.quantizers import MovingRange

pytestmark = pytest.mark.compiled

BATCHES = [np.random.default_rng(seed).normal(size=(16, 3)).astype(np.float32) * (1 + seed) for seed in range(5)]


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("compiled", [False, True])
def test_extremes_are_exponential_averages_that_start_at_the_first_batch(signed, compiled):
    quantizer = MovingRange(bits=8, signed=signed, momentum=0.9)
    state = build(quantizer)
    observe = tf.function(lambda x: quantizer.observe(x, state)) if compiled else lambda x: quantizer.observe(x, state)
    minimum = maximum = None
    for x in BATCHES:
        x = x if signed else np.abs(x)
        observe(tf.constant(x))
        low, high = (min(float(x.min()), 0.0) if signed else 0.0), float(x.max())
        minimum = low if minimum is None else 0.9 * minimum + 0.1 * low
        maximum = high if maximum is None else 0.9 * maximum + 0.1 * high
        assert numbers(state) == pytest.approx({"minimum": minimum, "maximum": maximum, "seen": 1.0}, rel=1e-6)


def test_calibrated_state_is_averaged_with_the_first_batch():
    quantizer = MovingRange(bits=8, signed=False)
    state = build(quantizer, values=np.array([0.5, 8.0]))
    quantizer.observe(tf.constant([[2.0]]), state)
    assert numbers(state) == pytest.approx({"minimum": 0.0, "maximum": 0.99 * 8 + 0.01 * 2, "seen": 1.0})


@pytest.mark.parametrize("bits", [2, 3, 8])
@pytest.mark.parametrize(("minimum", "maximum"), [(-1.0, 3.0), (0.0, 5.0), (-0.7, 0.9), (-4.0, 0.0), (-0.01, 6.0)])
def test_levels_divide_the_range_with_zero_among_them(bits, minimum, maximum):
    quantizer = MovingRange(bits=bits)
    state = build(quantizer, values=np.array([minimum, maximum]))
    x = np.linspace(minimum - 1, maximum + 1, 401).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(tensor := tf.constant(x))
        output = quantizer(tensor, state)
    integers, scale = quantizer.codes(tensor, state)
    step = (maximum - minimum) / (2**bits - 1)
    low = int(np.rint(minimum / step))
    high = low + 2**bits - 1
    assert low <= 0 <= high
    assert (integers.numpy().min(), integers.numpy().max()) == (low, high)
    np.testing.assert_allclose(scale, step, rtol=1e-6)
    expected = np.clip(np.rint(x / step), low, high) * step
    clear = np.abs((x / step) % 1 - 0.5) > 1e-3
    np.testing.assert_allclose(output.numpy()[clear], expected[clear], rtol=1e-5, atol=1e-6)
    inside = (x >= low * step) & (x <= high * step)
    edge = (np.abs(x - low * step) < 1e-4) | (np.abs(x - high * step) < 1e-4)
    np.testing.assert_array_equal(tape.gradient(output, tensor).numpy()[~edge], inside[~edge])


def test_unsigned_minimum_stays_zero():
    quantizer = MovingRange(bits=4, signed=False)
    state = build(quantizer, values=np.array([-3.0, 1.5]))
    quantizer.observe(tf.constant([[-9.0, 1.5]]), state)
    assert float(state["minimum"]) == 0.0
    integers, scale = quantizer.codes(tf.constant([-1.0, 0.0, 0.1, 1.5, 7.0]), state)
    np.testing.assert_array_equal(integers, [0, 0, 1, 15, 15])
    np.testing.assert_allclose(scale, 0.1, rtol=1e-6)


def test_observation_passes_no_gradient():
    quantizer = MovingRange(bits=2)
    state = build(quantizer)
    x = tf.constant([[-1.0, 0.2, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        quantizer.observe(x, state)
        output = quantizer(x, state)
    # Levels are -1, 0, 1, 2: every value lies inside, and none moves the range.
    np.testing.assert_array_equal(tape.gradient(output, x), [[1, 1, 1]])
