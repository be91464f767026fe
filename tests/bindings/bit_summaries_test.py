"""TensorBoard gets the probabilities that the search has after each epoch."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tfmp

KERASES = {"keras": (keras, tfmp), "tf_keras": (tf_keras, tfmp.keras2)}
X = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
BITS, LAYERS = (1, 2, 4), ("second", "third")


@pytest.mark.filterwarnings("ignore:.*open:UserWarning")
@pytest.mark.parametrize("kind", KERASES)
@pytest.mark.default_cases("keras")
def test_every_epoch_is_shown(kind, tmp_path):
    framework, ours = KERASES[kind]
    framework.utils.set_random_seed(0)
    names = ("first", "second", "third", "last")
    hidden = [framework.layers.Dense(6, activation="relu", name=name) for name in names]
    model = framework.Sequential([framework.Input((6,)), *hidden])
    search_model = tfmp.relax(model, calibration=X, weight_bits=BITS, activation_bits=(4,))
    search_model.compile(ours.SelectionOptimizer("sgd"), "mse", run_eagerly=True)
    search = ours.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 4)))
    seen, figures = [], []

    class Record(framework.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append({name: weights for name, (weights, _) in search.probabilities().items()})
            figures.append(search.summary())

    callbacks = [search, ours.BitSummaries(search, tmp_path / "logs"), Record()]
    search_model.fit(X, X, epochs=2, batch_size=16, verbose=0, callbacks=callbacks)
    events = EventAccumulator(str(tmp_path / "logs"))
    events.Reload()
    tags = events.Tags()["tensors"]
    assert {tag for tag in tags if not tag.startswith("search/")} == {
        "bits_of_all_layers/weights",
        "probabilities/weights",
        *(f"bits/{name}/weights" for name in LAYERS),
    }, "activations have no choice"
    for name in LAYERS:
        means = [sum(bits * share for bits, share in zip(BITS, each[name], strict=True)) for each in seen]
        np.testing.assert_allclose(scalars(events, f"bits/{name}/weights"), means, rtol=1e-6)
    assert {tag.removeprefix("search/") for tag in tags if tag.startswith("search/")} == set(figures[0])
    expected = [each["expected_cost"] for each in figures]
    np.testing.assert_allclose(scalars(events, "search/expected_cost"), expected, rtol=1e-6)
    width, height, png = tf.make_ndarray(events.Tensors("probabilities/weights")[-1].tensor_proto)
    cell = int(width) // len(BITS)
    assert (int(width), int(height)) == (cell * len(BITS), cell * len(LAYERS))
    cells = tf.io.decode_png(png)[cell // 2 :: cell, cell // 2 :: cell, 0]
    np.testing.assert_allclose(cells / 255, [seen[-1][name] for name in LAYERS], atol=1 / 255)


def scalars(events, tag):
    points = events.Tensors(tag)
    assert [point.step for point in points] == [1, 2]
    return [float(tf.make_ndarray(point.tensor_proto)) for point in points]
