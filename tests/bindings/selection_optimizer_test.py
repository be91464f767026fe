"""Trains logits, ranges and weights with separate optimizers, in either Keras."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
import tfmp.keras2
from tfmp.bindings.logits_training import check_strategy
from tfmp.bindings.selection_optimizer import group_of


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("hidden/weight_selector/logits", "selection"),
        ("backbone/conv/activation_selector/logits:0", "selection"),
        ("hidden/weight_selector/step", "ranges"),
        ("hidden/activation_selector/step_4_bits:0", "ranges"),
        ("hidden/kernel", "weights"),
        ("logits/kernel:0", "weights"),
        ("logits", "weights"),
    ],
)
def test_groups(path, group):
    assert group_of(path) == group


def test_several_devices_are_an_error():
    strategy = types.SimpleNamespace(num_replicas_in_sync=2)
    with pytest.raises(ValueError, match="`net` on 2 replicas"):
        check_strategy(types.SimpleNamespace(name="net", distribute_strategy=strategy))


X = np.random.default_rng(0).uniform(size=(8, 4)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)
PREFIXES = {"selection": "logits", "ranges": "step"}


@pytest.fixture(params=["keras", "tf_keras"])
def kit(request):
    """A Keras, our names for it, and its layers."""
    if request.param == "keras":
        return keras, tfmp, tfmp.layers
    return tf_keras, tfmp.keras2, tfmp.keras2


def model_of_two(kit):
    framework, _, layers = kit
    framework.utils.set_random_seed(0)
    hidden = layers.MixedPrecisionDense(5, weight_bits=(1, 2, 4), activation_bits=(2, 4), name="hidden")
    head = layers.MixedPrecisionDense(2, weight_bits=(2, 4), activation_bits=(4,), name="head")
    model = framework.Sequential([framework.Input((4,)), hidden, framework.layers.ReLU(), head])
    model(X, training=True)  # ranges have seen a batch
    return model


def group(variable):
    name = variable.name.split("/")[-1].split(":")[0]
    return next((key for key, prefix in PREFIXES.items() if name.startswith(prefix)), "weights")


def gradients_of(model):
    variables = [getattr(v, "value", v) if not isinstance(v, tf.Variable) else v for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(X, training=True) - Y) ** 2)
    return [np.asarray(g, np.float64) for g in tape.gradient(loss, variables)]


def test_each_group_has_its_own_rate_decay_and_clipping(kit):
    """An independent statement of the three updates: SGD with decoupled decay, SGD clipped by norm, SGD."""
    framework, ours, _ = kit
    sgd, rates = framework.optimizers.SGD, {"weights": 0.1, "selection": 0.02, "ranges": 0.003}
    model = model_of_two(kit)
    gradients = gradients_of(model)
    norm = np.sqrt(
        sum(np.sum(g**2) for g, v in zip(gradients, model.trainable_variables, strict=True) if group(v) == "selection")
    )
    optimizer = ours.SelectionOptimizer(
        sgd(rates["weights"], weight_decay=0.05),
        sgd(rates["selection"], global_clipnorm=float(norm) / 2),
        ranges=sgd(rates["ranges"]),
    )
    before = [np.asarray(v, np.float64) for v in model.trainable_variables]
    model.compile(optimizer, "mse", run_eagerly=True)
    model.train_on_batch(X, Y)
    seen = set()
    for variable, value, gradient in zip(model.trainable_variables, before, gradients, strict=True):
        name = group(variable)
        seen.add(name)
        if name == "weights":
            value = value * (1 - 0.05 * rates[name])
        change = rates[name] * gradient * (0.5 if name == "selection" else 1)
        assert np.abs(change).max() > 0 or name == "weights"
        np.testing.assert_allclose(np.asarray(variable), value - change, rtol=1e-4, atol=1e-6, err_msg=variable.name)
    assert seen == set(rates)


def test_ranges_move_by_a_share_of_their_size(kit):
    """The first update is the sign of the gradient, whatever the gradients' size, the optimizer and the steps."""
    framework, ours, _ = kit
    model = model_of_two(kit)
    steps = [variable for variable in model.trainable_variables if group(variable) == "ranges"]
    steps[0].assign(np.asarray(steps[0]) / 1000)
    pairs = zip(model.trainable_variables, gradients_of(model), strict=True)
    gradients = [gradient for variable, gradient in pairs if group(variable) == "ranges"]
    before = [np.asarray(variable, np.float64) for variable in steps]
    model.compile(ours.SelectionOptimizer(framework.optimizers.Adam(0.5)), "mse", run_eagerly=True)
    model.train_on_batch(X, Y)
    for variable, value, gradient in zip(steps, before, gradients, strict=True):
        change = -1e-3 * np.sqrt(np.mean(value**2)) * np.sign(gradient)
        np.testing.assert_allclose(np.asarray(variable) - value, change, rtol=2e-3)


@pytest.mark.default_cases("keras")
def test_schedules_run_side_by_side(kit):
    framework, ours, _ = kit
    decay = framework.optimizers.schedules.PiecewiseConstantDecay
    optimizer = ours.SelectionOptimizer(
        framework.optimizers.SGD(decay([1], [0.1, 0.0])),
        framework.optimizers.SGD(decay([0], [0.1, 0.0])),
        ranges=framework.optimizers.SGD(decay([2], [0.01, 0.0])),
    )
    model = model_of_two(kit)
    model.compile(optimizer, "mse", run_eagerly=True)
    moved = []
    for _ in range(4):
        before = [np.asarray(v) for v in model.trainable_variables]
        model.train_on_batch(X, Y)
        pairs = zip(model.trainable_variables, before, strict=True)
        moved.append({group(v) for v, value in pairs if not np.array_equal(v, value)})
    everything = {"weights", "selection", "ranges"}
    assert moved == [everything, {"weights", "ranges"}, {"ranges"}, set()]


@pytest.mark.default_cases("keras")
def test_callbacks_change_the_rate_of_the_weights_alone(kit):
    framework, ours, _ = kit
    optimizer = ours.SelectionOptimizer("sgd", "adam", ranges=framework.optimizers.SGD(0.003))
    model = model_of_two(kit)
    model.compile(optimizer, "mse", run_eagerly=True)
    callbacks = framework.callbacks
    scheduler = callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    plateau = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    model.fit(X, Y, epochs=2, callbacks=[scheduler], verbose=0)
    model.fit(X, Y, epochs=2, callbacks=[plateau], verbose=0)
    rates = [optimizer, optimizer.selection_optimizer, optimizer.ranges_optimizer]
    assert [float(np.asarray(o.learning_rate)) for o in rates] == pytest.approx([0.025, 0.001, 0.003])


def test_held_logits_stay_and_so_does_the_state_of_their_optimizer(kit):
    framework, ours, _ = kit
    optimizer = ours.SelectionOptimizer(framework.optimizers.SGD(0.1), framework.optimizers.SGD(0.1, momentum=0.9))
    model = model_of_two(kit)
    model.compile(optimizer, "mse", run_eagerly=True)
    model.train_on_batch(X, Y)
    optimizer.holds_logits = True
    state = [np.asarray(v) for v in optimizer.selection_optimizer.variables]
    before, steps = [np.asarray(v) for v in model.trainable_variables], int(np.asarray(optimizer.iterations))
    model.train_on_batch(X, Y)
    moved = {group(v) for v, x in zip(model.trainable_variables, before, strict=True) if not np.array_equal(v, x)}
    assert moved == {"weights", "ranges"} and int(np.asarray(optimizer.iterations)) == steps + 1
    for found, expected in zip(optimizer.selection_optimizer.variables, state, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.default_cases("tf_keras")
def test_three_groups_are_saved_and_go_on_as_before(kit, tmp_path):
    framework, ours, _ = kit
    schedule = framework.optimizers.schedules.CosineDecay(0.1, 10)
    optimizer = ours.SelectionOptimizer(
        framework.optimizers.SGD(schedule, momentum=0.9), "adam", ranges=framework.optimizers.SGD(0.01, momentum=0.5)
    )
    model = model_of_two(kit)
    model.compile(optimizer, "mse", run_eagerly=True)
    model.fit(X, Y, epochs=3, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    again = ours.load_model(tmp_path / "model.keras")
    again.run_eagerly = True
    assert again.optimizer.get_config() == optimizer.get_config()
    assert float(np.asarray(again.optimizer.ranges_optimizer.learning_rate)) == pytest.approx(0.01)
    for one in (model, again):
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    for found, expected in zip(again.variables, model.variables, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.default_cases("keras")
def test_three_groups_train_in_half_precision(kit):
    framework, ours, _ = kit
    framework.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = model_of_two(kit)
        model.compile(ours.SelectionOptimizer("sgd", "adam", ranges=framework.optimizers.SGD(1e-3)), "mse")
        assert type(model.optimizer).__name__.startswith("LossScaleOptimizer")
        before = [np.asarray(v) for v in model.trainable_variables]
        model.fit(X, Y, epochs=2, verbose=0)
    finally:
        framework.mixed_precision.set_global_policy("float32")
    after = [np.asarray(v) for v in model.trainable_variables]
    assert all(np.isfinite(v).all() for v in after)
    moved = {
        group(v) for v, a, b in zip(model.trainable_variables, after, before, strict=True) if not np.array_equal(a, b)
    }
    assert moved == {"weights", "selection", "ranges"}


def test_a_fixed_network_has_no_logits_to_train(kit):
    framework, ours, layers = kit
    framework.utils.set_random_seed(0)
    dense = layers.MixedPrecisionDense(2, weight_bits=(2,), activation_bits=(4,))
    model = framework.Sequential([framework.Input((4,)), dense])
    optimizer = ours.SelectionOptimizer("sgd", ranges=framework.optimizers.SGD(0.0))
    model.compile(optimizer, "mse", run_eagerly=True)
    model.train_on_batch(X, Y)
    before = [np.asarray(v) for v in model.trainable_variables]
    model.train_on_batch(X, Y)
    moved = {group(v) for v, x in zip(model.trainable_variables, before, strict=True) if not np.array_equal(v, x)}
    assert moved == {"weights"}
