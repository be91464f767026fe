import keras
import numpy as np
import pytest

import tfmp

X = np.random.default_rng(0).normal(2.0, 3.0, size=(64, 5, 5, 4)).astype(np.float32) * [1, 2, 3, 4]


def test_normalizes_by_the_range():
    layer = tfmp.layers.RangeBatchNormalization(momentum=0.0, epsilon=0.0)
    found = np.asarray(layer(X, training=True))
    values = X.reshape(-1, 4).astype(np.float64)
    deviation = np.ptp(values, axis=0) / (2 * np.sqrt(2 * np.log(len(values))))
    np.testing.assert_allclose(found.reshape(-1, 4), (values - values.mean(axis=0)) / deviation, rtol=1e-3, atol=1e-5)
    # n values of a Gaussian come near to it.
    np.testing.assert_allclose(deviation, values.std(axis=0), rtol=0.25)
    np.testing.assert_allclose(np.asarray(layer.moving_variance), deviation**2, rtol=1e-4)
    plain = keras.layers.BatchNormalization(epsilon=0.0)
    plain.build(X.shape)
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(np.asarray(layer(X)), np.asarray(plain(X)))


def test_is_searched_folded_and_loaded_like_any_normalization(tmp_path):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((5, 5, 4))
    x = keras.layers.Conv2D(6, 3, use_bias=False, name="conv")(inputs)
    x = keras.layers.ReLU()(tfmp.layers.RangeBatchNormalization(name="norm")(x))
    model = keras.Model(inputs, keras.layers.Dense(3, name="dense")(keras.layers.Flatten()(x)))
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((64, 3)), epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    search_model = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(4,), calibration=X, first_and_last="search")
    assert type(search_model.get_layer("norm")) is tfmp.layers.RangeBatchNormalization
    fixed = tfmp.fix(search_model, {"conv": (4, 4), "dense": (2, 4)}, calibration=X)
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=X)
    assert all(row.equal_share == 1 for row in report.operators) and report.operators


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="supports neither `renorm` nor `synchronized`"):
        tfmp.layers.RangeBatchNormalization(synchronized=True)
    with pytest.raises(ValueError, match="supports no mask"):
        tfmp.layers.RangeBatchNormalization()(X, mask=np.ones(X.shape[:-1], bool))
