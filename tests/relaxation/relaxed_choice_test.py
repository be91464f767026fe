"""Choices of bits."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tests.small_graphs import assignments, searched_net
from tfmp import costs, relaxation
from tfmp.relaxation import probabilities, relaxed_choice
from tfmp.relaxation.relaxed_choice import gumbel_sample

pytestmark = pytest.mark.compiled

LOGITS = np.array([0.4, -0.7, 1.1], np.float32)


def softmax(logits):
    exponentials = np.exp(np.asarray(logits, np.float64) - np.max(logits))
    return exponentials / exponentials.sum()


def gumbel(logits, *, temperature=1.0, seed=(3, 5), training=True):
    return relaxed_choice(logits, relaxation="gumbel", temperature=temperature, seed=seed, training=training).numpy()


@tf.function(input_signature=[tf.TensorSpec((3,)), tf.TensorSpec((None, 2), tf.int32)])
def samples(logits, seeds):
    """The candidate that is chosen for every seed."""
    return tf.map_fn(
        lambda seed: tf.argmax(relaxed_choice(logits, relaxation="gumbel", seed=seed), output_type=tf.int32),
        seeds,
    )


def jacobian(logits, *, temperature=1.0, seed=(3, 5)):
    logits = tf.constant(logits)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        weights = relaxed_choice(logits, relaxation="gumbel", temperature=temperature, seed=seed)
    return tape.jacobian(weights, logits, experimental_use_pfor=False).numpy().astype(np.float64)


def noise_of(logits, *, temperature=1.0, seed=(3, 5)):
    """Noise up to a constant, read from the gradient s_i (delta_ij - s_j) / T of the soft sample s."""
    slopes = jacobian(logits, temperature=temperature, seed=seed) * temperature
    soft = np.array(
        [np.sqrt(-slopes[i, j] * slopes[i, k] / slopes[j, k]) for i, j, k in ((0, 1, 2), (1, 0, 2), (2, 0, 1))]
    )
    np.testing.assert_allclose(slopes, np.diag(soft) - np.outer(soft, soft), atol=1e-5)
    assert soft.sum() == pytest.approx(1, abs=1e-5)
    noise = temperature * np.log(soft) - logits
    return noise - noise[0]


@pytest.mark.parametrize("training", [False, True])
def test_softmax_and_annealed_are_the_formulas(training):
    np.testing.assert_allclose(probabilities(LOGITS), softmax(LOGITS), rtol=1e-6)
    soft = relaxed_choice(LOGITS, relaxation="softmax", temperature=0.1, training=training)
    np.testing.assert_allclose(soft, softmax(LOGITS), rtol=1e-6)
    for temperature in (5.0, 1.0, 0.1):
        found = relaxed_choice(LOGITS, relaxation="annealed", temperature=temperature, training=training)
        np.testing.assert_allclose(found, softmax(LOGITS / temperature), rtol=1e-5)


@pytest.mark.parametrize(("relaxation", "temperature"), [("softmax", 1.0), ("annealed", 0.3)])
def test_soft_choices_have_the_gradient_of_softmax(relaxation, temperature):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits := tf.constant(LOGITS))
        weights = relaxed_choice(logits, relaxation=relaxation, temperature=temperature)
    p = softmax(LOGITS / temperature)
    found = tape.jacobian(weights, logits, experimental_use_pfor=False)
    np.testing.assert_allclose(found, (np.diag(p) - np.outer(p, p)) / temperature, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_straight_through_gradient_is_that_of_the_soft_sample_whose_winner_is_chosen(temperature):
    for seed in [(0, 0), (0, 1), (7, 3)]:
        noise = noise_of(LOGITS, temperature=temperature, seed=seed)
        weights = gumbel(LOGITS, temperature=temperature, seed=seed)
        np.testing.assert_array_equal(weights, np.eye(3)[np.argmax(LOGITS + noise)])


def test_noise_depends_on_the_seed_alone():
    noise = noise_of(LOGITS, seed=(3, 5))
    np.testing.assert_allclose(noise_of(LOGITS, temperature=0.7, seed=(3, 5)), noise, atol=1e-3)
    np.testing.assert_allclose(noise_of(LOGITS[::-1].copy(), seed=(3, 5)), noise, atol=1e-3)
    for other in [(3, 6), (4, 5), (5, 3)]:
        assert np.abs(noise_of(LOGITS, seed=other) - noise).max() > 0.01
    np.testing.assert_array_equal(
        tf.function(lambda: relaxed_choice(LOGITS, relaxation="gumbel", seed=(3, tf.constant(5))))(),
        gumbel(LOGITS, seed=(3, 5)),
    )


def test_sampling_frequencies_are_the_softmax():
    count = 4000
    seeds = np.stack([np.full(count, 11), np.arange(count)], axis=1).astype(np.int32)
    observed = np.bincount(samples(LOGITS, seeds), minlength=3)
    assert stats.chisquare(observed, count * softmax(LOGITS)).pvalue > 1e-3


def test_steps_and_neighbouring_seeds_are_independent():
    count = 3000
    streams = [
        samples(LOGITS, np.stack([np.full(count, seed), np.arange(count) + shift], axis=1).astype(np.int32)).numpy()
        for seed, shift in [(11, 0), (11, 1), (12, 0)]
    ]
    for other in streams[1:]:
        table = np.histogram2d(streams[0], other, bins=3)[0]
        assert stats.chi2_contingency(table).pvalue > 1e-3


def test_outside_training_the_most_likely_is_chosen():
    for seed in range(5):
        np.testing.assert_array_equal(gumbel(LOGITS, seed=(seed, seed), training=False), [0, 0, 1])


def test_samples_are_exactly_one_hot_whatever_the_temperature():
    for temperature in (0.01, 0.3, 3.0):
        for step in range(20):
            weights = gumbel(LOGITS * 3, temperature=temperature, seed=(1, step))
            np.testing.assert_array_equal(np.sort(weights), [0, 0, 1])


def test_unknown_relaxation_lists_the_known_ones():
    with pytest.raises(ValueError, match="'softmax', 'annealed', 'gumbel'. Received: 'hard'"):
        relaxed_choice(LOGITS, relaxation="hard")


ROWS = np.array([[0.0, 1.0, -1.0], [0.5, 0.0, 9.0]], np.float32)
MASK = np.array([[1, 1, 1], [1, 1, 0]], np.float32)


@pytest.mark.parametrize("hard", [False, True])
def test_rows_sum_to_one_and_leave_padding_out(hard):
    noise = np.random.default_rng(0).gumbel(size=ROWS.shape).astype(np.float32)
    found = gumbel_sample(tf.constant(ROWS), MASK, noise, 2.0, hard=hard).numpy()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert found[1, 2] == 0 and (found >= 0).all()
    assert (set(np.unique(found)) == {0, 1}) == hard


def test_draws_have_the_probabilities_of_the_logits():
    rng = np.random.default_rng(1)
    drawn = [
        gumbel_sample(tf.constant(ROWS), MASK, rng.gumbel(size=ROWS.shape).astype(np.float32), 5.0, hard=True)
        for _ in range(2000)
    ]
    powers = np.exp(ROWS) * MASK
    np.testing.assert_allclose(np.mean(drawn, axis=0), powers / powers.sum(axis=1, keepdims=True), atol=0.05)


def test_gradient_of_a_draw_is_that_of_the_mixture():
    noise, gradients = np.zeros(ROWS.shape, np.float32), []
    for hard in (False, True):
        logits = tf.constant(ROWS)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = tf.reduce_sum(
                gumbel_sample(logits, MASK, noise, 2.0, hard=hard) * [[1.0, 2.0, 4.0], [1.0, -1.0, 7.0]]
            )
        gradients.append(tape.gradient(value, logits).numpy())
    np.testing.assert_allclose(*gradients, atol=1e-6)
    assert gradients[0][1, 2] == 0 and (gradients[0][MASK > 0] != 0).all()


@pytest.mark.parametrize("name", ["flops", "bitops", "model_size"])
def test_expected_cost_of_a_net_is_the_sum_over_all_assignments(name):
    graph, cost = searched_net(), costs.get(name)
    tables = costs.tables(graph, cost)
    found = sum(
        float(
            relaxation.expected_cost(
                tf.constant(tables[layer.name], tf.float32),
                tf.constant(layer.weight.probabilities),
                tf.constant(layer.activation.probabilities),
            )
        )
        for layer in graph.searched
    )
    expected = 0.0
    for probability, bits in assignments(graph):
        entries = [
            tables[layer.name][
                layer.weight.bits.index(bits[layer.name][0]), layer.activation.bits.index(bits[layer.name][1])
            ]
            for layer in graph.searched
        ]
        expected += probability * sum(entries)
    assert found == pytest.approx(expected, rel=1e-5)


def test_gradient_is_the_price_expected_over_the_other_choice():
    price = np.array([[1.0, 2.0], [4.0, 8.0], [5.0, 3.0]])
    p, q = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.4])
    tensors = [tf.constant(p), tf.constant(q)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        cost = relaxation.expected_cost(tf.constant(price), *tensors)
    assert float(cost) == pytest.approx(sum(p[i] * q[j] * price[i, j] for i in range(3) for j in range(2)))
    gradients = tape.gradient(cost, tensors)
    np.testing.assert_allclose(gradients[0], [sum(q[j] * price[i, j] for j in range(2)) for i in range(3)])
    np.testing.assert_allclose(gradients[1], [sum(p[i] * price[i, j] for i in range(3)) for j in range(2)])


def test_coupled_choices_cost_the_diagonal():
    price, p = np.array([[1.0, 9.0], [9.0, 8.0]]), np.array([0.25, 0.75])
    tensors = [tf.constant(p), tf.constant(p)]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        cost = relaxation.expected_cost(tf.constant(price), *tensors, coupled=True)
    assert float(cost) == pytest.approx(0.25 + 0.75 * 8)
    gradients = tape.gradient(cost, tensors)
    np.testing.assert_allclose(gradients[0], [1, 8])
    assert gradients[1] is None, "one choice has one gradient"
