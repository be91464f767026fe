"""The parts of the callback that only tf_keras has; the rest is in `tests/mixins` and `tests/parity_test.py`."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers as kl

import tfmp
from tfmp.keras2 import MixedPrecisionSearch, SelectionOptimizer

X = np.random.default_rng(0).uniform(size=(32, 4)).astype(np.float32)
Y = X @ [[1.0], [-1.0], [2.0], [0.5]]


def search_model(relaxation="gumbel"):
    tf_keras.utils.set_random_seed(0)
    layers = [kl.Dense(5, activation="relu", name=name) for name in ("one", "two", "three")]
    model = tf_keras.Sequential([tf_keras.Input((4,)), *layers, kl.Dense(1)])
    relaxed = tfmp.relax(model, weight_bits=(1, 2, 4), activation_bits=(2, 4), relaxation=relaxation, calibration=X)
    optimizer = SelectionOptimizer(tf_keras.optimizers.SGD(0.02, momentum=0.9), tf_keras.optimizers.Adam(0.05))
    relaxed.compile(optimizer, "mse", run_eagerly=True)
    return relaxed


class Interruption(tf_keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


class Decay(tf_keras.callbacks.Callback):
    """Knows the rate of the epoch before from the optimizer alone."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate.assign(0.5 * self.model.optimizer.learning_rate)


def fit(model, folder=None, callbacks=(), epochs=4, **options):
    search = MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 2)), backup_dir=folder, **options)
    return model.fit(
        X, Y, epochs=epochs, batch_size=16, shuffle=False, callbacks=[Decay(), search, *callbacks], verbose=0
    )


@pytest.mark.slow
@pytest.mark.parametrize("alternating", [False, True], ids=["single pass", "alternating"])
def test_an_interrupted_search_ends_as_the_unbroken_one(tmp_path, alternating):
    data = tfmp.SelectionData((X[:24], Y[:24]), batch_size=8, every=2)
    options = {"selection_data": data, "freeze_above": 0.6} if alternating else {}
    unbroken = search_model()
    expected = fit(unbroken, **options)
    with pytest.raises(KeyboardInterrupt):
        fit(search_model(), tmp_path, [Interruption()], **options)
    resumed = search_model()
    found = fit(resumed, tmp_path, **options)
    optimizers = [model.optimizer.selection_optimizer for model in (unbroken, resumed)]
    assert [int(optimizer.iterations) for optimizer in optimizers] == [4 if alternating else 8] * 2
    assert found.epoch == [2, 3]
    for name, values in found.history.items():
        np.testing.assert_array_equal(values, expected.history[name][2:], err_msg=name)
    for one, other in zip(resumed.variables, unbroken.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    assert fit(resumed, tmp_path, **options).history == {}, "a complete run is not trained again"
    assert resumed.fit(X, Y, epochs=1, verbose=0).epoch == [0], "a fit without the search starts at its own beginning"


def test_figures_reach_history_progress_and_tensorboard(tmp_path, capsys):
    class Seen(tf_keras.callbacks.Callback):
        costs = []

        def on_train_batch_end(self, batch, logs=None):
            self.costs.append(logs["cost"])

    model = search_model("annealed")
    search = MixedPrecisionSearch(eta=0.1, temperature=(2.0, 0.5))
    board = tf_keras.callbacks.TensorBoard(tmp_path, write_graph=False)
    history = model.fit(X, Y, epochs=2, batch_size=16, callbacks=[search, board, Seen()], verbose=1).history
    assert {"loss", "expected_cost", "discrete_cost", "multiplier", "mixture_variance"} <= history.keys()
    assert len(Seen.costs) == 4 and all(np.isfinite(Seen.costs))
    assert " - cost: " in capsys.readouterr().out
    tags = set()
    for path in (tmp_path / "train").iterdir():
        for record in tf.data.TFRecordDataset([str(path)]).as_numpy_iterator():
            tags |= {value.tag for value in tf.compat.v1.Event.FromString(record).summary.value}
    assert {f"epoch_{name}" for name in history} <= tags
    assert float(model.get_layer("two").weight_selector.temperature) == pytest.approx(0.5)


def test_the_penalty_stays_out_of_validation():
    model = search_model("softmax")
    history = model.fit(X, Y, validation_data=(X, Y), callbacks=[MixedPrecisionSearch(eta=5.0)], verbose=0).history
    assert history["loss"][0] > history["val_loss"][0] + 5


def test_a_training_loop_of_ones_own_does_what_fit_does():
    fitted, looped = search_model("softmax"), search_model("softmax")
    fit(fitted, epochs=1)
    search, optimizer = MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 2))), looped.optimizer
    search.set_model(looped)
    for x, y in tf.data.Dataset.from_tensor_slices((X, Y.astype(np.float32))).batch(16):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((looped(x, training=True) - y) ** 2) + tf.add_n(looped.losses)
        variables = looped.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        search.step()
    for one, other in zip(looped.variables, fitted.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6, err_msg=one.name)


def test_a_legacy_optimizer_has_no_backup(tmp_path):
    model = search_model()
    model.compile(tf_keras.optimizers.legacy.SGD(), "mse", run_eagerly=True)
    with pytest.raises(ValueError, match="`backup_dir`.*legacy"):
        fit(model, tmp_path)
