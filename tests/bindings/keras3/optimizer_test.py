import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as kl

import tfmp
from tfmp.layers import MixedPrecisionDense


def model_of_two():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4,)),
            MixedPrecisionDense(5, weight_bits=(1, 2, 4), activation_bits=(2, 4), name="hidden"),
            kl.ReLU(),
            MixedPrecisionDense(2, weight_bits=(2, 4), activation_bits=(4,), name="head"),
        ]
    )


X = np.random.default_rng(0).uniform(size=(8, 4)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)


def changed_names(optimizer, epochs=1):
    model = model_of_two()
    model(X, training=True)  # ranges have seen a batch
    model.compile(optimizer, "mse", run_eagerly=True)
    before = [np.asarray(v) for v in model.trainable_variables]
    model.fit(X, Y, epochs=epochs, verbose=0)
    return {
        v.path.split("/", 1)[1] if v.path.startswith("sequential") else v.path
        for v, value in zip(model.trainable_variables, before, strict=True)
        if not np.array_equal(v, value)
    }


LOGITS = {"hidden/weight_selector/logits", "hidden/activation_selector/logits", "head/weight_selector/logits"}


def test_logits_go_to_the_second_optimizer_alone():
    still, moving = keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.1)
    assert changed_names(tfmp.SelectionOptimizer(still, moving, ranges=None)) == LOGITS
    others = changed_names(tfmp.SelectionOptimizer(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.0)))
    assert others and not others & LOGITS
    assert {"hidden/kernel", "head/kernel", "head/bias"} <= others


def test_updates_are_those_of_the_two_optimizers():
    one, two = model_of_two(), model_of_two()
    optimizer = tfmp.SelectionOptimizer(keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.02), ranges=None)
    one.compile(optimizer, "mse", run_eagerly=True)
    one.train_on_batch(X, Y)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((two(X, training=True) - Y) ** 2)
    gradients = tape.gradient(loss, [v.value for v in two.trainable_variables])
    for mine, variable, gradient in zip(one.trainable_variables, two.trainable_variables, gradients, strict=True):
        # Adam's first step is its learning rate, whatever the gradient.
        change = -0.02 * np.sign(gradient) if variable.name == "logits" else -0.1 * np.asarray(gradient)
        np.testing.assert_allclose(mine, np.asarray(variable) + change, rtol=5e-3, atol=1e-5)


@pytest.mark.slow
def test_saved_with_the_model_it_goes_on_as_before(tmp_path):
    model = model_of_two()
    model.compile(tfmp.SelectionOptimizer(keras.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.Adam(0.02)), "mse")
    model.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    again = tfmp.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, tfmp.SelectionOptimizer)
    assert isinstance(again.optimizer.selection_optimizer, keras.optimizers.Adam)
    assert len(model.optimizer.variables) == len(again.optimizer.variables) > 10
    for found, expected in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
    for one in (model, again):
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    for found, expected in zip(again.variables, model.variables, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_learning_rate_is_that_of_the_weights():
    optimizer = tfmp.SelectionOptimizer(keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.02))
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
    optimizer.learning_rate = 0.3
    assert float(optimizer.weights_optimizer.learning_rate) == pytest.approx(0.3)
    assert float(optimizer.selection_optimizer.learning_rate) == pytest.approx(0.02)


def test_learning_rate_callbacks_work():
    model = model_of_two()
    model.compile(tfmp.SelectionOptimizer("sgd", "adam"), "mse", run_eagerly=True)
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    history = model.fit(X, Y, epochs=3, callbacks=[scheduler], verbose=0).history
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.05, 0.1 / 3], rtol=1e-6)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 / 3)
    assert float(model.optimizer.selection_optimizer.learning_rate) == pytest.approx(0.001), "untouched"
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    model.fit(X, Y, epochs=2, callbacks=[plateau], verbose=0)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 / 6)
    assert float(model.optimizer.selection_optimizer.learning_rate) == pytest.approx(0.001), "untouched"


def test_config_round_trip():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    optimizer = tfmp.SelectionOptimizer(keras.optimizers.SGD(schedule), "adam", loss_scale_factor=8.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is tfmp.SelectionOptimizer and again.get_config() == optimizer.get_config()
    assert float(again.learning_rate) == pytest.approx(0.1) and again.loss_scale_factor == 8.0


@pytest.mark.slow
def test_half_precision_scales_the_loss():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = model_of_two()
        model.compile(tfmp.SelectionOptimizer("sgd", "adam"), "mse")
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        before = [np.asarray(v) for v in model.trainable_variables]
        model.fit(X, Y, epochs=2, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    after = [np.asarray(v) for v in model.trainable_variables]
    assert all(np.isfinite(v).all() for v in after)
    assert sum(not np.array_equal(a, b) for a, b in zip(after, before, strict=True)) >= 6


def test_unknown_names():
    with pytest.raises(ValueError, match="wrong"):
        tfmp.SelectionOptimizer("wrong")
