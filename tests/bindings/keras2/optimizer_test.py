import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers as kl

from tfmp.keras2 import MixedPrecisionDense, SelectionOptimizer, load_model


def model_of_two():
    tf_keras.utils.set_random_seed(0)
    return tf_keras.Sequential(
        [
            tf_keras.Input((4,)),
            MixedPrecisionDense(5, weight_bits=(1, 2, 4), activation_bits=(2, 4), name="hidden"),
            kl.ReLU(),
            MixedPrecisionDense(2, weight_bits=(2, 4), activation_bits=(4,), name="head"),
        ]
    )


X = np.random.default_rng(0).uniform(size=(8, 4)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)
LOGITS = {"hidden/weight_selector/logits:0", "hidden/activation_selector/logits:0", "head/weight_selector/logits:0"}


def changed_names(optimizer):
    model = model_of_two()
    model(X, training=True)  # ranges have seen a batch
    model.compile(optimizer, "mse", run_eagerly=True)
    before = [np.asarray(v) for v in model.trainable_variables]
    model.fit(X, Y, verbose=0)
    pairs = zip(model.trainable_variables, before, strict=True)
    return {v.name for v, value in pairs if not np.array_equal(v, value)}


def test_logits_go_to_the_second_optimizer_alone():
    still, moving = tf_keras.optimizers.SGD(0.0), tf_keras.optimizers.SGD(0.1)
    assert changed_names(SelectionOptimizer(still, moving, ranges=None)) == LOGITS
    others = changed_names(SelectionOptimizer(tf_keras.optimizers.SGD(0.1), tf_keras.optimizers.SGD(0.0)))
    assert not others & LOGITS
    assert {"hidden/kernel:0", "head/kernel:0", "head/bias:0"} <= others


def test_updates_are_those_of_the_two_optimizers():
    one, two = model_of_two(), model_of_two()
    optimizer = SelectionOptimizer(tf_keras.optimizers.SGD(0.1), tf_keras.optimizers.Adam(0.02), ranges=None)
    one.compile(optimizer, "mse", run_eagerly=True)
    one.train_on_batch(X, Y)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((two(X, training=True) - Y) ** 2)
    gradients = tape.gradient(loss, two.trainable_variables)
    for mine, variable, gradient in zip(one.trainable_variables, two.trainable_variables, gradients, strict=True):
        # Adam's first step is its learning rate, whatever the gradient.
        change = -0.02 * np.sign(gradient) if "logits" in variable.name else -0.1 * np.asarray(gradient)
        np.testing.assert_allclose(mine, np.asarray(variable) + change, rtol=5e-3, atol=1e-5)
    assert int(optimizer.iterations) == int(optimizer.selection_optimizer.iterations) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_saved_with_the_model_it_goes_on_as_before(tmp_path, name):
    model = model_of_two()
    weights = tf_keras.optimizers.SGD(tf_keras.optimizers.schedules.CosineDecay(0.1, 10), momentum=0.9)
    model.compile(SelectionOptimizer(weights, tf_keras.optimizers.Adam(0.02)), "mse")
    model.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    model.save(tmp_path / name)
    again = load_model(tmp_path / name)
    assert isinstance(again.optimizer, SelectionOptimizer)
    assert isinstance(again.optimizer.selection_optimizer, tf_keras.optimizers.Adam)
    assert int(again.optimizer.selection_optimizer.iterations) == 3
    assert len(model.optimizer.variables) == len(again.optimizer.variables) > 10
    for found, expected in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
    for one in (model, again):
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    for found, expected in zip(again.variables, model.variables, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_learning_rate_is_that_of_the_weights():
    model = model_of_two()
    model.compile(SelectionOptimizer("sgd", "adam"), "mse", run_eagerly=True)
    scheduler = tf_keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    history = model.fit(X, Y, epochs=3, callbacks=[scheduler], verbose=0).history
    np.testing.assert_allclose(history["lr"], [0.1, 0.05, 0.1 / 3], rtol=1e-6)
    assert float(model.optimizer.weights_optimizer.learning_rate) == pytest.approx(0.1 / 3)
    plateau = tf_keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    model.fit(X, Y, epochs=2, callbacks=[plateau], verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 / 6)
    assert float(model.optimizer.selection_optimizer.learning_rate) == pytest.approx(0.001), "untouched"


def test_config_round_trip():
    schedule = tf_keras.optimizers.schedules.CosineDecay(0.1, 100)
    optimizer = SelectionOptimizer(tf_keras.optimizers.SGD(schedule), "adam")
    again = tf_keras.optimizers.deserialize(tf_keras.optimizers.serialize(optimizer))
    assert type(again) is SelectionOptimizer and again.get_config() == optimizer.get_config()
    assert float(again.learning_rate) == pytest.approx(0.1)


def test_half_precision_scales_the_loss():
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = model_of_two()
        model.compile(SelectionOptimizer("sgd", "adam"), "mse")
        assert isinstance(model.optimizer, tf_keras.mixed_precision.LossScaleOptimizer)
        before = [np.asarray(v) for v in model.trainable_variables]
        model.fit(X, Y, epochs=2, verbose=0)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    after = [np.asarray(v) for v in model.trainable_variables]
    assert all(np.isfinite(v).all() for v in after)
    assert sum(not np.array_equal(a, b) for a, b in zip(after, before, strict=True)) >= 6


def test_optimizers_that_are_none():
    with pytest.raises(ValueError, match="wrong"):
        SelectionOptimizer("wrong")
    with pytest.raises(ValueError, match="`selection`.*legacy"):
        SelectionOptimizer(selection=tf_keras.optimizers.legacy.SGD())
