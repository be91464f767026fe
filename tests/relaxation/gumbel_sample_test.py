import numpy as np
import pytest
import tensorflow as tf

from tfmp.relaxation.gumbel_sample import gumbel_sample

LOGITS = np.array([[0.0, 1.0, -1.0], [0.5, 0.0, 9.0]], np.float32)
MASK = np.array([[1, 1, 1], [1, 1, 0]], np.float32)


@pytest.mark.parametrize("hard", [False, True])
def test_rows_sum_to_one_and_leave_padding_out(hard):
    noise = np.random.default_rng(0).gumbel(size=LOGITS.shape).astype(np.float32)
    found = gumbel_sample(tf.constant(LOGITS), MASK, noise, 2.0, hard=hard).numpy()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert found[1, 2] == 0 and (found >= 0).all()
    assert (set(np.unique(found)) == {0, 1}) == hard


def test_draws_have_the_probabilities_of_the_logits():
    rng = np.random.default_rng(1)
    drawn = [
        gumbel_sample(tf.constant(LOGITS), MASK, rng.gumbel(size=LOGITS.shape).astype(np.float32), 5.0, hard=True)
        for _ in range(2000)
    ]
    powers = np.exp(LOGITS) * MASK
    np.testing.assert_allclose(np.mean(drawn, axis=0), powers / powers.sum(axis=1, keepdims=True), atol=0.05)


def test_gradient_of_a_draw_is_that_of_the_mixture():
    noise, gradients = np.zeros(LOGITS.shape, np.float32), []
    for hard in (False, True):
        logits = tf.constant(LOGITS)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = tf.reduce_sum(
                gumbel_sample(logits, MASK, noise, 2.0, hard=hard) * [[1.0, 2.0, 4.0], [1.0, -1.0, 7.0]]
            )
        gradients.append(tape.gradient(value, logits).numpy())
    np.testing.assert_allclose(*gradients, atol=1e-6)
    assert gradients[0][1, 2] == 0 and (gradients[0][MASK > 0] != 0).all()
