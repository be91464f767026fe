"""The search callback in ordinary `compile` and `fit`; what a killed run needs is in `resumed_search_test.py`."""

import io
import re
from contextlib import redirect_stdout

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as kl
from tensorboard.compat.proto.event_pb2 import Event

import tfmp
from tests.mixins.three_layers import (
    LOGGED,
    MACS,
    X,
    Y,
    compiled,
    expected_bitops,
    outside,
    randomize_logits,
    search_model,
)
from tfmp.search import DualAscent


def test_history_has_the_figures_of_every_epoch():
    model = compiled()
    search = tfmp.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 2)))
    history = model.fit(X, Y, epochs=2, callbacks=[search], verbose=0).history
    assert history.keys() == {"loss"} | LOGGED
    assert all(len(values) == 2 and np.isfinite(values).all() for values in history.values())
    limit = 4.0 * sum(MACS.values())
    np.testing.assert_allclose(history["expected_cost"][-1], expected_bitops(model) / limit, rtol=1e-5)
    np.testing.assert_allclose(
        history["expected_cost"][-1], tfmp.cost(model, "bitops") / limit - outside(limit), rtol=1e-5
    )
    discrete = tfmp.discretize(model).costs["bitops"] / limit - outside(limit)
    np.testing.assert_allclose(history["discrete_cost"][-1], discrete, rtol=1e-5)
    gaps = np.subtract(history["discrete_cost"], history["expected_cost"])
    np.testing.assert_allclose(history["cost_gap"], gaps, rtol=1e-6)
    entropies = []
    for name in MACS:
        layer = model.get_layer(name)
        for selector in (layer.weight_selector, layer.activation_selector):
            p = np.asarray(selector.probabilities(), np.float64)
            entropies.append(-(p @ np.log(p)) / np.log(len(p)))
    np.testing.assert_allclose(history["selection_entropy"][-1], np.mean(entropies), rtol=1e-5)
    assert history["mixture_variance"][-1] > 0


def test_fixed_multiplier_adds_its_share_of_the_normalized_cost():
    """EdMIPS, eq. 6 and 12: R_E + eta R_C, with R_C in units of the first searched layer's FLOPs."""
    model = compiled(keras.optimizers.SGD(0.0))
    randomize_logits(model)
    history = model.fit(X, Y, batch_size=32, callbacks=[tfmp.MixedPrecisionSearch(eta=0.25)], verbose=0).history
    error = model.evaluate(X, Y, batch_size=32, verbose=0)
    added = 0.25 * expected_bitops(model) / MACS["one"]
    np.testing.assert_allclose(history["loss"][0] - error, added, rtol=1e-4)
    assert history["multiplier"] == [0.25]
    np.testing.assert_allclose(history["expected_cost"][0], expected_bitops(model) / MACS["one"], rtol=1e-5)


def test_a_layer_called_twice_pays_twice():
    inputs = keras.Input((4,))
    shared = kl.Dense(4, activation="relu", name="shared")
    x = shared(shared(kl.Dense(4, activation="relu")(inputs)))
    model = tfmp.relax(keras.Model(inputs, kl.Dense(1)(x)), first_and_last="float", weight_bits=(1, 3))
    search = tfmp.MixedPrecisionSearch(eta=1.0)
    search.set_model(model)
    model(np.ones((2, 4)), training=True)
    # E[weight bits] = 2, E[activation bits] = 3, two calls; the multiply-accumulates cancel.
    np.testing.assert_allclose(sum(model.losses), 2 * 2 * 3, rtol=1e-5)


def test_a_layer_placed_by_hand_and_called_twice_pays_twice():
    inputs = keras.Input((4,))
    shared = tfmp.layers.MixedPrecisionDense(4, weight_bits=(1, 3), activation_bits=(2, 4), activation="relu")
    model = keras.Model(inputs, shared(shared(inputs)))
    search = tfmp.MixedPrecisionSearch(eta=1.0)
    search.set_model(model)
    model(np.ones((2, 4)), training=True)
    np.testing.assert_allclose(sum(model.losses), 2 * 2 * 3, rtol=1e-5)
    np.testing.assert_allclose(search.summary()["expected_cost"], 2 * 2 * 3, rtol=1e-5)


def test_the_penalty_stays_out_of_validation():
    model = compiled(keras.optimizers.SGD(0.0))
    history = model.fit(X, Y, validation_data=(X, Y), callbacks=[tfmp.MixedPrecisionSearch(eta=1.0)], verbose=0).history
    assert history["loss"][0] > history["val_loss"][0] + 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("relaxation", "tolerance"), [("softmax", 0.03), pytest.param("gumbel", 0.1, marks=pytest.mark.slow)]
)
def test_a_budget_is_met(relaxation, tolerance):
    """The task, to do what the network did in floating point, wants all the bits that it can get."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(64, 12)).astype(np.float32)
    # Named, since the noise of a layer follows from its name.
    hidden = [kl.Dense(16, activation="relu", name=f"hidden_{index}") for index in range(3)]
    teacher = keras.Sequential([keras.Input((12,)), *hidden, kl.Dense(4, name="last")])
    model = tfmp.relax(
        teacher,
        first_and_last="float",
        weight_bits=(1, 2, 4),
        activation_bits=(2, 4),
        relaxation=relaxation,
        calibration=x,
    )
    optimizer = tfmp.SelectionOptimizer(keras.optimizers.Adam(0.003), keras.optimizers.Adam(0.03))
    model.compile(optimizer, "mse", loss_weights=[10.0])
    search = tfmp.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 2)))
    history = model.fit(x, 3 * np.asarray(teacher(x)), batch_size=16, epochs=50, callbacks=[search], verbose=0).history
    assert history["expected_cost"][0] > 1.6
    assert np.mean(history["expected_cost"][-10:]) == pytest.approx(1, abs=tolerance)
    assert history["multiplier"][-1] > 0
    assignment = tfmp.discretize(model, strategy="budget", budget=search.budget)
    cost = sum(16 * 16 * weights * activations for weights, activations in assignment.bits.values())
    assert cost <= 4 * 16 * 16 * 2


def test_a_loose_budget_costs_nothing():
    model = compiled()
    search = tfmp.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(8, 8)))
    history = model.fit(X, Y, epochs=2, callbacks=[search], verbose=0).history
    assert history["multiplier"] == [0.0, 0.0]


def test_a_limit_counts_the_whole_network():
    model = compiled()
    limit = tfmp.cost(model, "bitops") * 0.98
    search = tfmp.MixedPrecisionSearch(tfmp.Budget("bitops", limit=limit))
    model.fit(X, Y, callbacks=[search], verbose=0)
    np.testing.assert_allclose(search.penalties[0].limit + outside(1.0), limit, rtol=1e-9)


def test_progress_shows_the_cost():
    class Seen(keras.callbacks.Callback):
        costs = []

        def on_train_batch_end(self, batch, logs=None):
            self.costs.append((logs["cost"], expected_bitops(self.model) / MACS["one"]))

    model = compiled()
    text = io.StringIO()
    with redirect_stdout(text):
        model.fit(X, Y, batch_size=8, callbacks=[tfmp.MixedPrecisionSearch(eta=0.1), Seen()], verbose=1)
    assert len(Seen.costs) == 4
    for shown, expected in Seen.costs:
        np.testing.assert_allclose(shown, expected, rtol=1e-5)
    assert re.search(r"cost: \d+\.\d+.*loss: ", text.getvalue())


def test_tensorboard_behind_it_writes_the_figures(tmp_path):
    model = compiled()
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    history = model.fit(X, Y, epochs=2, callbacks=[tfmp.MixedPrecisionSearch(eta=0.1), board], verbose=0).history
    written = {}
    for path in (tmp_path / "train").iterdir():
        for record in tf.data.TFRecordDataset([str(path)]).as_numpy_iterator():
            event = Event.FromString(record)
            for value in event.summary.value:
                written[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    for name in LOGGED:
        for epoch in range(2):
            assert written[f"epoch_{name}", epoch] == pytest.approx(history[name][epoch], rel=1e-5)


@pytest.mark.parametrize(
    ("budget", "smallest"),
    [
        (tfmp.Budget("bitops", like_uniform=(1, 1)), 2 * sum(MACS.values())),
        (tfmp.Budget("bitops", limit=1000), 2 * sum(MACS.values()) + outside(1.0)),
    ],
    ids=["like_uniform", "limit"],
)
def test_a_budget_that_cannot_be_met_is_an_error_before_training(budget, smallest):
    model = compiled()
    before = [np.asarray(v) for v in model.variables]
    with pytest.raises(ValueError, match="cannot be met") as error:
        model.fit(X, Y, callbacks=[tfmp.MixedPrecisionSearch(budget)], verbose=0)
    assert f"{smallest:g}" in str(error.value)
    assert all(np.array_equal(v, value) for v, value in zip(model.variables, before, strict=True))


def test_a_model_without_open_bits_is_an_error():
    model = keras.Sequential([keras.Input((2,)), kl.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no layer whose bits are open.*tfmp.relax"):
        model.fit(np.ones((2, 2)), np.ones((2, 1)), callbacks=[tfmp.MixedPrecisionSearch(eta=1.0)], verbose=0)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "either `budget` or `eta`"),
        ({"budget": tfmp.Budget("bitops", limit=1), "eta": 1.0}, ValueError, "either `budget` or `eta`"),
        ({"budget": 3.0}, TypeError, "tfmp.Budget"),
        ({"budget": []}, TypeError, "tfmp.Budget"),
        ({"budget": [tfmp.Budget("bitops", limit=n) for n in (1, 2)]}, ValueError, "different names.*bitops, bitops"),
        ({"eta": -1.0}, ValueError, "`eta`"),
        ({"eta": 1.0, "multiplier": DualAscent()}, ValueError, "`multiplier` is only allowed with `budget`"),
        (
            {"budget": tfmp.Budget("bitops", limit=1), "cost": "energy"},
            ValueError,
            "`cost` is only allowed with `eta`.*energy",
        ),
        ({"eta": float("nan")}, ValueError, "`eta`"),
        ({"eta": 1.0, "temperature": (1.0, 0.0)}, ValueError, "`temperature`"),
    ],
    ids=lambda value: "-".join(value) or "none" if isinstance(value, dict) else "",
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        tfmp.MixedPrecisionSearch(**arguments)


def test_an_unknown_cost_is_an_error_before_training():
    model = compiled()
    with pytest.raises(ValueError, match="bitops"):
        model.fit(X, Y, callbacks=[tfmp.MixedPrecisionSearch(eta=1.0, cost="wrong")], verbose=0)


def test_temperature_falls_by_an_equal_factor_each_epoch():
    class Seen(keras.callbacks.Callback):
        temperatures = []

        def on_epoch_end(self, epoch, logs=None):
            self.temperatures.append(float(self.model.get_layer("two").weight_selector.temperature))

    model = compiled(relaxation="annealed")
    search = tfmp.MixedPrecisionSearch(eta=0.1, temperature=(2.0, 0.5))
    model.fit(X, Y, epochs=3, callbacks=[search, Seen()], verbose=0)
    np.testing.assert_allclose(Seen.temperatures, [2.0, 1.0, 0.5], rtol=1e-6)


def test_a_loop_of_ones_own():
    model = search_model()
    search = tfmp.MixedPrecisionSearch(
        tfmp.Budget("bitops", like_uniform=(2, 2)), multiplier=DualAscent(learning_rate=0.2)
    )
    search.set_model(model)
    optimizer = keras.optimizers.Adam(0.15)
    costs = []
    for _ in range(10):
        with tf.GradientTape() as tape:
            model(X[:4], training=True)
            loss = tf.add_n(model.losses)
        optimizer.apply(
            [g if g is not None else tf.zeros(v.shape) for v, g in pairs(tape, loss, model)], model.trainable_variables
        )
        costs.append(search.step())
    np.testing.assert_allclose(costs[-1], expected_bitops(model) / (4 * sum(MACS.values())), rtol=1e-5)
    assert costs[-1] < 1.1 < costs[0]


def pairs(tape, loss, model):
    variables = model.trainable_variables
    return zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True)


def test_half_precision_searches():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled()
        search = tfmp.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 2)))
        history = model.fit(X, Y, epochs=2, callbacks=[search], verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(np.isfinite(values).all() for values in history.values())
    np.testing.assert_allclose(
        history["expected_cost"][-1], expected_bitops(model) / (4 * sum(MACS.values())), rtol=1e-5
    )


def test_a_backup_of_another_eta_is_not_taken_up(tmp_path):
    """It would put its own multiplier in the place of the one asked for."""
    search, other = (tfmp.MixedPrecisionSearch(eta=eta, backup_dir=tmp_path) for eta in (0.1, 0.2))
    model = compiled()
    for callback in (search, other):
        callback.set_model(model)
    search.on_epoch_end(0)
    assert search.load_backup() == 1
    with pytest.raises(ValueError, match="eta"):
        other.load_backup()
