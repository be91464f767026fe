"""A model whose batch is fixed takes any number of samples in every call, by whole and padded batches."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
from tfmp.data.whole_batches import by_whole_batches, full_batches
from tfmp.tflite.interpreter import Interpreter

pytestmark = pytest.mark.usefixtures("eagerly")
BATCH = 4
KERASES = (keras, tf_keras)


def _whole_batches_only(framework):
    class WholeBatchesOnly(framework.layers.Layer):
        """Computes nothing, for one batch size."""

        def call(self, x):
            return tf.reshape(x, (BATCH, *x.shape[1:]))

    return framework.saving.register_keras_serializable(f"fixed_batch_{framework.__name__}")(WholeBatchesOnly)


CLASSES = {framework: _whole_batches_only(framework) for framework in KERASES}


def make(framework, *, whole_only=False):
    framework.utils.set_random_seed(0)
    layers = framework.layers
    inputs = framework.Input((8, 8, 2), batch_size=BATCH, name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="second")(x)))
    x = CLASSES[framework](name="whole")(x) if whole_only else x
    x = layers.Conv2D(4, 3, activation="relu", name="third")(x)
    return framework.Model(inputs, layers.Dense(3, activation="softmax", name="head")(layers.Flatten(name="flat")(x)))


X = np.random.default_rng(0).normal(size=(11, 8, 8, 2)).astype(np.float32)
Y = np.arange(11) % 3
OPTIONS = {"weight_bits": (2, 4), "activation_bits": (3, 4)}
BITS = {"second": (4, 4), "third": (4, 4)}
BUDGET = tfmp.Budget("bitops", like_uniform=(3, 3))


@pytest.mark.slow  # the parts are tested below, export and comparison in model_kinds_test
@pytest.mark.parametrize("framework", KERASES)
def test_every_call_takes_any_number_of_samples(framework, tmp_path):
    relaxed = tfmp.relax(make(framework), calibration=X, **OPTIONS)
    relaxed.compile("sgd", "sparse_categorical_crossentropy")
    relaxed.fit(X, Y, batch_size=BATCH, verbose=0)
    assert set(tfmp.assign.by_sensitivity(relaxed, X, BUDGET)) == set(BITS)
    fixed = tfmp.fix(relaxed, BITS, calibration=X)
    reference = fixed(np.concatenate([X, X[:1]]), training=False)[:11]
    folded = tfmp.fold(fixed)
    assert folded.inputs[0].shape[0] == BATCH
    whole = np.asarray(folded(X[:8]))
    np.testing.assert_array_equal(folded.predict(X[:7], batch_size=BATCH, verbose=0), whole[:7])
    for mode in ("small", "float"):
        path = tmp_path / f"{mode}.tflite"
        tfmp.export_tflite(fixed, path, mode=mode, verify=X)
        tfmp.compare_tflite(fixed, path, X)
        interpreter = Interpreter(path)
        assert interpreter.batch_size == BATCH
        (found,) = interpreter.run(X).values()
        assert np.mean(found.argmax(-1) == np.asarray(reference).argmax(-1)) > 0.7
        assert 0 <= tfmp.evaluate_tflite(path, (X, Y)) <= 1
    assert tfmp.cost(fixed, "bitops") > 0 and tfmp.simulate(fixed, hardware="bit_fusion").total.total_cycles > 0
    table = tfmp.measure_runtime(make(framework), tmp_path / "table.json", runs=2)
    assert table.conditions["batch_size"] == BATCH


@pytest.mark.slow
@pytest.mark.parametrize("framework", KERASES)
def test_layers_that_take_whole_batches_alone(framework, tmp_path):
    relaxed = tfmp.relax(make(framework, whole_only=True), calibration=X, **OPTIONS)
    tfmp.assign.by_sensitivity(relaxed, (X, Y), BUDGET, loss=framework.losses.sparse_categorical_crossentropy)
    for post_training in (False, True):
        fixed = tfmp.fix(relaxed, BITS, calibration=X, post_training=post_training)
    path = tmp_path / "model.tflite"
    tfmp.export_tflite(fixed, path, mode="float", verify=X)
    expected = np.concatenate([fixed(X[:4]), fixed(X[4:8]), np.asarray(fixed(X[7:]))[1:]])
    (found,) = Interpreter(path).run(X).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_calibration_sees_every_sample_once():
    """The ranges of a model with a fixed batch are those of the same model with a free one."""
    fixed_batch = make(keras)
    inputs = keras.Input((8, 8, 2), name="image")
    free = keras.models.clone_model(fixed_batch, input_tensors=inputs)
    free.set_weights(fixed_batch.get_weights())
    ranges = [
        [np.asarray(v) for v in tfmp.relax(model, calibration=X[:9], **OPTIONS).variables]
        for model in (fixed_batch, free)
    ]
    for one, other in zip(*ranges, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_batches_of_a_fixed_size():
    seen = []

    class Double:
        inputs = (tf.TensorSpec((4,)), tf.TensorSpec((4, 2)))

        def __call__(self, inputs, training):
            assert not training and len(inputs["x"]) == 4
            seen.append(np.asarray(inputs["x"]))
            return [inputs["x"] * 2, {"y": inputs["y"]}]

    x, y = np.arange(10.0), np.arange(20.0).reshape(10, 2)
    first, second = by_whole_batches(Double())({"x": x, "y": y})
    np.testing.assert_array_equal(first, 2 * x)
    np.testing.assert_array_equal(second["y"], y)
    np.testing.assert_array_equal(seen[-1], [8, 9, 9, 9])
    parts = [np.arange(3), np.arange(3, 6), np.arange(6, 10)]
    assert [part.tolist() for part in full_batches(parts, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [part.tolist() for part in full_batches(parts[:1], 4)] == [[0, 1, 2, 0]]
    assert [part.tolist() for part in full_batches(parts, None)] == [part.tolist() for part in parts]
