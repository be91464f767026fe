"""Both orders against finite differences of what they differentiate, on a smooth function."""

import numpy as np
import pytest
import tensorflow as tf

from tfmp import quantizers, relaxation
from tfmp.joint.joint_trainer import validation_gradient

STEP_SIZE = 0.3


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    weights = [tf.Variable(rng.normal(size=(3, 4))), tf.Variable(rng.normal(size=4))]
    batches = [(rng.normal(size=(6, 3)), rng.normal(size=6)) for _ in range(2)]
    logits = tf.constant(rng.normal(size=(2, 4)))

    def loss(batch, logits):
        x, y = (tf.constant(each) for each in batch)
        first, second = tf.unstack(tf.nn.softmax(logits))
        hidden = tf.tanh(x @ weights[0]) * first + tf.sin(x @ weights[0]) * second
        return tf.reduce_mean(tf.square(tf.linalg.matvec(hidden, weights[1]) - y))

    return loss, weights, logits, batches


def finite_differences(function, logits, step=1e-5):
    found = np.zeros(logits.shape)
    for place in np.ndindex(found.shape):
        moved = np.zeros(found.shape)
        moved[place] = step
        found[place] = (function(logits + moved) - function(logits - moved)) / (2 * step)
    return found


def test_first_order_is_the_gradient_at_these_weights(problem):
    loss, weights, logits, (training, validation) = problem
    value, found = validation_gradient(loss, weights, logits, training, validation)
    np.testing.assert_allclose(
        found, finite_differences(lambda each: loss(validation, each).numpy(), logits), rtol=1e-6
    )
    assert value.numpy() == loss(validation, logits).numpy()


@pytest.mark.parametrize("order", ["first", "second"])
def test_loss_that_reads_no_logits_has_no_gradient(order, problem):
    """As in a space whose every choice is made."""
    _, weights, logits, batches = problem
    loss = lambda batch, logits: tf.reduce_sum(tf.square(weights[0]))  # noqa: E731
    _, found = validation_gradient(loss, weights, logits, *batches, order=order, step_size=STEP_SIZE)
    np.testing.assert_array_equal(found, np.zeros(logits.shape))


def test_second_order_goes_through_the_step(problem):
    loss, weights, logits, (training, validation) = problem
    start = [weight.numpy() for weight in weights]

    def after_a_step(logits):
        with tf.GradientTape() as tape:
            value = loss(training, logits)
        for weight, gradient in zip(weights, tape.gradient(value, weights), strict=True):
            weight.assign_sub(STEP_SIZE * gradient)
        found = loss(validation, logits).numpy()
        for weight, old in zip(weights, start, strict=True):
            weight.assign(old)
        return found

    arguments = (loss, weights, logits, training, validation)
    value, found = validation_gradient(*arguments, order="second", step_size=STEP_SIZE)
    np.testing.assert_allclose(found, finite_differences(after_a_step, logits), rtol=1e-5)
    assert value.numpy() == pytest.approx(after_a_step(logits), rel=1e-12)
    for weight, old in zip(weights, start, strict=True):
        np.testing.assert_array_equal(weight, old)
    _, first = validation_gradient(*arguments)
    assert np.abs(found - first).max() > 0.05 * np.abs(found).max()


@pytest.mark.compiled
@pytest.mark.parametrize("compiled", [False, True])
def test_second_derivatives_pass_through_quantizers(compiled):
    """d/dp_i <d L/d x, v> of L = <c, sum_i p_i Q_i(x)> is <c, inside_i v>, with straight-through gradients."""
    rng = np.random.default_rng(2)
    x, c, v = (tf.constant(rng.normal(size=200), tf.float32) for _ in range(3))
    candidates = [quantizers.get("moving_range", bits=bits) for bits in (2, 4, 8)]
    state = {"minimum": tf.constant(-0.5), "maximum": tf.constant(1.0), "seen": tf.constant(1.0)}
    start = tf.constant([0.2, 0.3, 0.5])

    def mixed(weights):
        with tf.GradientTape() as outer:
            outer.watch(weights)
            with tf.GradientTape() as inner:
                inner.watch(x)
                value = tf.reduce_sum(c * relaxation.mixture(x, candidates, [state] * 3, weights))
            along = tf.reduce_sum(inner.gradient(value, x) * v)
        return outer.gradient(along, weights)

    found = (tf.function(mixed) if compiled else mixed)(start)
    grids = [each.grid(x, state) for each in candidates]
    inside = [(x / grid.step >= grid.low) & (x / grid.step <= grid.high) for grid in grids]
    expected = [tf.reduce_sum(c * v * tf.cast(each, tf.float32)) for each in inside]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
