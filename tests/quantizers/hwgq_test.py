import numpy as np
import pytest
import tensorflow as tf

from tests.quantizers.variable_state import build
from tfmp.quantizers import HWGQ

# EdMIPS, section 3.2, as its public code has them.
WEIGHT_STEPS = {1: 1.596, 2: 0.996, 3: 0.586, 4: 0.336}
ACTIVATION_STEPS = {1: 0.799, 2: 0.538, 3: 0.3217, 4: 0.185}


@pytest.mark.parametrize(
    ("signed", "bits", "published"),
    [
        *[(True, bits, step) for bits, step in WEIGHT_STEPS.items()],
        *[(False, bits, step) for bits, step in ACTIVATION_STEPS.items()],
    ],
)
def test_steps_are_the_published_constants(signed, bits, published):
    assert HWGQ(bits=bits, signed=signed).unit_step == pytest.approx(published, rel=0.005)


def test_steps_shrink_with_every_bit_up_to_eight():
    for signed in (True, False):
        steps = [HWGQ(bits=bits, signed=signed).unit_step for bits in range(1, 9)]
        assert np.all(np.diff(steps) < 0) and np.all(np.divide(steps[1:], steps[:-1]) > 0.5)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_weights_follow_the_papers_formula(bits):
    x = (0.3 + 0.7 * np.random.default_rng(bits).normal(size=(3, 3, 8, 4))).astype(np.float32)
    quantizer = HWGQ(bits=bits)
    assert build(quantizer, channel_axes=(-1,)) == {}
    found = quantizer(tf.constant(x), {}, channel_axes=(-1,)).numpy()
    step = quantizer.unit_step * x.astype(np.float64).std()  # the whole tensor, the mean not taken off the values
    reach = (2**bits / 2 - 0.5) * step
    expected = np.clip((np.floor(x / step) + 0.5) * step, -reach, reach)
    clear = np.abs(x / step - np.rint(x / step)) > 1e-4
    np.testing.assert_allclose(found[clear], expected[clear], rtol=1e-5)
    assert len(np.unique(found)) == 2**bits


def test_weights_pass_the_gradient_unchanged_and_take_the_deviation_as_a_constant():
    rng = np.random.default_rng(0)
    x = tf.constant(5 * rng.normal(size=(50, 4)).astype(np.float32))
    upstream = tf.constant(rng.normal(size=(50, 4)).astype(np.float32))
    for bits in (1, 2, 4):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = HWGQ(bits=bits)(x, {}, channel_axes=(-1,))
        np.testing.assert_array_equal(tape.gradient(output, x, output_gradients=upstream), upstream)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("deviation", [1.0, 2.5])
def test_activations_clip_then_round(bits, deviation):
    quantizer = HWGQ(bits=bits, signed=False)
    state = build(quantizer)
    assert float(state["deviation"]) == 1.0 and not state["deviation"].trainable
    state["deviation"].assign(deviation)
    step = quantizer.unit_step * deviation
    reach = step * (2**bits - 1)
    x = np.linspace(-2 * step, reach + 2 * step, 997).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(tensor := tf.constant(x))
        output = quantizer(tensor, state)
    clear = np.abs((x / step) % 1 - 0.5) > 1e-3
    np.testing.assert_allclose(output[clear], (np.rint(np.clip(x, 0, reach) / step) * step)[clear], rtol=1e-5)
    np.testing.assert_array_equal(tape.gradient(output, tensor), ((x >= 0) & (x <= reach)).astype(np.float32))


def test_activation_state_starts_from_the_positive_half():
    x = 3.0 * np.random.default_rng(0).normal(size=100000)
    for values in (x, np.maximum(x, 0)):
        state = HWGQ(bits=2, signed=False).initial_state(values)
        assert state["deviation"] == pytest.approx(np.sqrt(np.mean(x[x > 0] ** 2)), rel=1e-6)
        assert state["deviation"] == pytest.approx(3.0, rel=0.01)
    assert HWGQ(bits=2, signed=False).initial_state(-np.abs(x))["deviation"] == 1.0
    assert HWGQ(bits=2).initial_state(x) == {}


def test_the_deviation_of_each_channel_by_name():
    x = np.random.default_rng(0).normal(size=(3, 3, 5, 4)) * [0.1, 1.0, 2.0, 5.0]
    quantizer = HWGQ(bits=2, granularity="channel")
    step = quantizer.grid(tf.constant(x), {}, channel_axes=(-1,)).step
    np.testing.assert_allclose(np.ravel(step), quantizer.unit_step * x.std(axis=(0, 1, 2)), rtol=1e-6)
