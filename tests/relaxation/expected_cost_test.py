import numpy as np
import pytest
import tensorflow as tf

from tests.small_graphs import assignments, searched_net
from tfmp import costs, relaxation


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
