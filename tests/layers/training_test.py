"""Prices, losses and training of searchable layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.layers.searchable_layers import CASES, EACH_CLASS, inputs_of, randomize, searchable


@pytest.mark.parametrize("case", EACH_CLASS)
def test_price_enters_the_loss_while_training_alone(case):
    layer = randomize(searchable(case, weight_bits=(2, 4, 8), activation_bits=(2, 4), num_calls=3))
    price = np.random.default_rng(0).uniform(size=(3, 2))
    layer.selection_cost.set_price(price)
    model = keras.Sequential([keras.Input(CASES[case][2]), layer])
    p_weights, p_activations = (
        np.exp(s.logits) / np.exp(s.logits).sum() for s in (layer.weight_selector, layer.activation_selector)
    )
    model(inputs_of(case), training=False)
    assert model.losses == []
    model(inputs_of(case), training=True)
    assert len(model.losses) == 1
    np.testing.assert_allclose(model.losses[0], p_weights @ price @ p_activations / 3, rtol=1e-6)


@pytest.mark.parametrize("case", EACH_CLASS)
def test_price_of_one_open_tensor(case):
    """A tensor in floating point, or with one candidate, has one column."""
    for arguments in ({"activation_bits": None}, {"activation_bits": 4}):
        layer = randomize(searchable(case, weight_bits=(2, 8), **arguments))
        layer.selection_cost.set_price([[1.0], [5.0]])
        layer(inputs_of(case), training=True)
        p = np.asarray(layer.weight_selector.probabilities())
        np.testing.assert_allclose(layer.losses[0], p @ [1, 5], rtol=1e-6)


@pytest.mark.parametrize("case", EACH_CLASS)
def test_price_of_coupled_candidates_is_that_of_their_pairs(case):
    layer = randomize(searchable(case, weight_bits=(2, 4, 8), activation_bits=(1, 2, 4), coupled=True))
    layer.selection_cost.set_price([[1.0, 9.0, 9.0], [9.0, 2.0, 9.0], [9.0, 9.0, 4.0]])
    layer(inputs_of(case), training=True)
    p = np.asarray(layer.weight_selector.probabilities())
    np.testing.assert_array_equal(layer.activation_selector.probabilities(), p)
    np.testing.assert_allclose(layer.losses[0], p @ [1, 2, 4], rtol=1e-6)


@pytest.mark.parametrize("case", ["conv2d_regularized", "conv2d_constrained", "depthwise_regularized"])
def test_kernels_of_candidates_have_the_layers_regularizer_and_constraint(case):
    layer = randomize(searchable(case, weight_bits=(1, 2, 4), activation_bits=None, shared_weights=False))
    layer.trainable = False
    assert not layer.candidate_kernels.trainable_variables, "they rest with the kernel"
    layer.trainable = True
    kernels = [*layer.candidate_kernels.kernels, layer.kernel]
    assert [kernel.path for kernel in layer.trainable_variables if "kernel_" in kernel.path] == [
        kernel.path for kernel in kernels[:2]
    ]
    if "constrained" in case:
        layer.optimizer = keras.optimizers.SGD(1.0)
        layer.optimizer.apply([tf.ones(kernel.shape) for kernel in kernels], kernels)
        assert all(np.min(kernel) == 0 for kernel in kernels)
        return
    expected = sum(0.01 * np.square(kernel).sum() for kernel in kernels)
    expected += 0.01 * np.abs(layer.bias).sum() if layer.bias.regularizer else 0
    assert float(tf.add_n(layer.losses)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.default_cases("depthwise_multiplied", "dense")
@pytest.mark.parametrize("case", EACH_CLASS)
def test_training_lowers_the_cost_under_a_price(case):
    keras.utils.set_random_seed(0)
    layer = searchable(case, weight_bits=(1, 2, 4), activation_bits=(2, 4))
    model = keras.Sequential([keras.Input(CASES[case][2]), layer])
    layer.selection_cost.set_price(np.outer((1, 2, 4), (2, 4)))
    model.compile(keras.optimizers.SGD(0.05), "mse", run_eagerly=True)
    before = [float(s.expected_bits()) for s in (layer.weight_selector, layer.activation_selector)]
    outputs = model(inputs_of(case))
    model.fit(inputs_of(case), np.ones(outputs.shape), epochs=6, batch_size=3, verbose=0)
    after = [float(s.expected_bits()) for s in (layer.weight_selector, layer.activation_selector)]
    assert after[0] < before[0] - 0.1 and after[1] < before[1] - 0.1
    p = np.asarray(layer.weight_selector.probabilities())
    assert p[0] > p[1] > p[2]


@pytest.mark.default_cases("conv2d_strided_same-softmax", "depthwise_multiplied-annealed", "dense-gumbel")
@pytest.mark.parametrize("relaxation", ["softmax", "annealed", "gumbel"])
@pytest.mark.parametrize("case", EACH_CLASS)
def test_one_bit_trains(case, relaxation):
    layer = searchable(case, weight_bits=(1,), activation_bits=(1, 2), relaxation=relaxation)
    model = keras.Sequential([keras.Input(CASES[case][2]), layer])
    model.compile(keras.optimizers.SGD(0.01), "mse", run_eagerly=True)
    start = layer.get_weights()[0]
    history = model.fit(inputs_of(case), np.ones(model(inputs_of(case)).shape), epochs=3, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert not np.array_equal(layer.get_weights()[0], start)
