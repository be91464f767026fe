import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as kl

from tfmp.bindings.keras3.keras3_framework import Keras3Framework
from tfmp.data.batches import batches
from tfmp.layers import Quantize
from tfmp.transform.calibration import calibrate
from tfmp.transform.calibration.calibrate import _Drawn, reestimate_normalization

KERAS_3 = Keras3Framework()


def two_normalizations():
    """The second sees what the first makes of its batch."""
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            kl.BatchNormalization(momentum=0.9, name="one"),
            kl.Dense(5, name="dense"),
            kl.BatchNormalization(name="two"),
        ]
    )


DATA = np.random.default_rng(0).normal(2.0, 3.0, size=(150, 4, 3)).astype(np.float32)


def statistics(batches):
    """Averages over the samples of the statistics of each batch."""
    sizes = np.array([len(batch) for batch in batches]) / sum(len(batch) for batch in batches)
    means = [batch.mean((0, 1), dtype=np.float64) for batch in batches]
    variances = [batch.var((0, 1), dtype=np.float64) for batch in batches]
    return sizes @ means, sizes @ variances


def test_one_batch_gives_the_statistics_of_the_data():
    model = two_normalizations()
    reestimate_normalization(model, tf.data.Dataset.from_tensors(DATA))
    np.testing.assert_allclose(model.get_layer("one").moving_mean, DATA.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(model.get_layer("one").moving_variance, DATA.var((0, 1)), rtol=1e-4)
    normalized = (DATA - DATA.mean((0, 1))) / np.sqrt(DATA.var((0, 1)) + 1e-3)
    hidden = normalized @ np.asarray(model.get_layer("dense").kernel)
    np.testing.assert_allclose(model.get_layer("two").moving_mean, hidden.mean((0, 1)), atol=1e-5)
    np.testing.assert_allclose(model.get_layer("two").moving_variance, hidden.var((0, 1)), rtol=1e-4)


@pytest.mark.parametrize("last", [64, 22, 1])
def test_batches_count_by_their_samples(last):
    model = two_normalizations()
    data = DATA[: 64 + last]
    reestimate_normalization(model, data)
    mean, variance = statistics([data[:64], data[64:]])
    np.testing.assert_allclose(model.get_layer("one").moving_mean, mean, rtol=1e-4)
    np.testing.assert_allclose(model.get_layer("one").moving_variance, variance, rtol=1e-4)


def test_nothing_else_changes():
    model = two_normalizations()
    model.get_layer("two").trainable = False  # frozen statistics stay
    before = [np.asarray(v) for v in model.variables]
    reestimate_normalization(model, DATA)
    changed = [v for v, value in zip(model.variables, before, strict=True) if not np.array_equal(v, value)]
    assert changed == [model.get_layer("one").moving_mean, model.get_layer("one").moving_variance]
    assert (model.get_layer("one").momentum, model.get_layer("two").momentum) == (0.9, 0.99)


def test_momentum_survives_bad_data():
    model = two_normalizations()
    with pytest.raises(ValueError, match="finite"):
        reestimate_normalization(model, np.concatenate([DATA, np.full_like(DATA[:3], np.nan)]))
    assert model.get_layer("one").momentum == 0.9


def test_moving_ranges_follow():
    model = keras.Sequential([keras.Input((4, 3)), kl.BatchNormalization(), Quantize(8, name="stored")])
    reestimate_normalization(model, DATA)
    assert model.get_layer("stored").activation_selector.is_calibrated


def test_values_are_drawn_with_equal_chances_however_many_there_are():
    drawn, few = _Drawn(np.random.default_rng(0)), _Drawn(np.random.default_rng(0))
    chunks = [np.full(2**16, index, np.float32) for index in range(12)]  # three times as many as are kept
    for chunk in chunks:
        drawn.add(chunk)
    few.add(chunks[0])
    few.add(chunks[1][:5])
    assert drawn.values.size == 2**18 and drawn.extremes.tolist() == [0, 11]
    counts = np.bincount(drawn.values.astype(int), minlength=12)
    deviation = np.sqrt(2**18 / 12 * (1 - 1 / 12))  # of a count of independent draws
    assert np.abs(counts - 2**18 / 12).max() < 5 * deviation
    assert few.values.size == 2**16 + 5, "all while they are few"


def two_inputs(keyed=False):
    left, right = keras.Input((4, 3), name="left"), keras.Input((None, 1), name="right")
    outputs = [kl.Dense(2)(left), kl.Dense(2)(right)]
    return KERAS_3.read(keras.Model({"a": left, "b": right} if keyed else [left, right], outputs))


RIGHT = np.zeros((150, 7, 1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([DATA, DATA], r"`right` must have the shape \(samples, None, 1\). Received: \(64, 4, 3\)"),
        ({"left": DATA[0], "right": RIGHT[:4]}, r"`left` must have the shape \(samples, 4, 3\). Received: \(4, 3\)"),
        ([DATA, RIGHT.astype(str)], "`right` must be numbers"),
        ([DATA, np.full_like(RIGHT, np.inf)], "finite"),
    ],
)
def test_data_that_no_input_takes(data, message):
    with pytest.raises(ValueError, match=message):
        list(batches(data, graph=two_inputs()))


def test_data_by_the_keys_of_the_inputs():
    with pytest.raises(ValueError, match="`left` must have the shape"):
        list(batches({"a": RIGHT, "b": RIGHT}, graph=two_inputs(keyed=True)))
    assert len(list(batches({"a": DATA, "b": RIGHT}, graph=two_inputs(keyed=True)))) == 3


def test_an_axis_of_size_1_may_be_left_out():
    assert len(list(batches([DATA, RIGHT[..., 0]], graph=two_inputs()))) == 3
    assert len(list(batches([DATA[..., None], RIGHT], graph=two_inputs()))) == 3


def test_large_tensors_are_sampled_a_few_inputs_at_a_time(monkeypatch):
    model = two_normalizations()
    names = [call.outputs[0] for call in KERAS_3.read(model).calls[1:]]
    whole = calibrate._sample(model, names, batches(DATA, graph=KERAS_3.read(model)))
    sizes = []
    regrouped = calibrate.regrouped
    monkeypatch.setattr(calibrate, "regrouped", lambda parts, size: sizes.append(size) or regrouped(parts, size))
    monkeypatch.setattr(calibrate, "_MAX_BYTES", 7 * 4 * 4 * (3 + 5 + 5))  # seven inputs
    parts = calibrate._sample(model, names, batches(DATA, graph=KERAS_3.read(model)))
    assert set(sizes) == {7}
    for name in names:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-5)
