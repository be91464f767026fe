"""Statistics that calibration data do not tell, and data unlike those that a network was trained on."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp
from tests.transform.quantize_test import decibels
from tfmp.bindings.framework import framework_of
from tfmp.transform.calibration.calibrate import reestimate_normalization
from tfmp.transform.calibration.familiar_data import statistics_distance
from tfmp.transform.calibration.post_training import quantize_after_training
from tfmp.transform.edits.floating_point import in_floating_point

RNG = np.random.default_rng(0)
NATURAL = RNG.normal(size=(64, 8, 8, 3)).astype(np.float32)
# The first channel is never positive, so that channel 0 of the second convolution is silent.
QUIET = np.concatenate([-np.abs(NATURAL[..., :1]), NATURAL[..., 1:]], axis=-1)


@pytest.fixture(scope="module")
def model():
    """A convolution whose channel 0 reads the first channel of the image alone, where that is positive."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((8, 8, 3), name="image")
    x = kl.Conv2D(6, 1, name="first", use_bias=False)(x)
    x = kl.ReLU(name="first_relu")(x)
    x = kl.Conv2D(6, 3, padding="same", name="second", use_bias=False)(x)
    x = kl.BatchNormalization(name="norm")(x)
    x = kl.ReLU(name="second_relu")(x)
    x = kl.Conv2D(6, 3, padding="same", name="third", use_bias=False)(x)
    x = kl.BatchNormalization(name="last_norm")(x)
    model = keras.Model(inputs, kl.Conv2D(2, 1, name="head")(x), name="silent")
    kernel = np.array(model.get_layer("first").kernel)
    kernel[..., 0], kernel[:, :, 0, 1:] = [[[1.0, 0.0, 0.0]]], 0.0
    model.get_layer("first").kernel.assign(kernel)
    kernel = np.array(model.get_layer("second").kernel)
    kernel[..., 1:, 0] = 0
    model.get_layer("second").kernel.assign(kernel)
    reestimate_normalization(model, NATURAL)
    return model


def at_8_bits(model, data, **options):
    relaxed = tfmp.relax(model, weight_bits=(7, 8), activation_bits=(7, 8), calibration=data)
    return tfmp.fix(relaxed, tfmp.BitAssignment.uniform(relaxed, 8, 8), **options)


def test_a_channel_that_is_silent_in_the_data_still_works(model):
    """Without this rule its moving variance becomes 0, and it is 1 / sqrt(epsilon) times too loud when it fires."""
    second = keras.Model(model.input, model.get_layer("second").output)
    assert np.all(np.asarray(second(QUIET))[..., 0] == 0) and np.asarray(second(NATURAL))[..., 0].std() > 0.1
    exact = np.asarray(model(NATURAL))
    plain = at_8_bits(model, QUIET)
    results = {"plain": plain, "calibration": at_8_bits(model, QUIET, calibration=QUIET)}
    results["post_training"] = at_8_bits(model, QUIET, calibration=QUIET, post_training=True)
    found = {name: decibels(exact, np.asarray(fixed(NATURAL))) for name, fixed in results.items()}
    assert found["plain"] > 20
    assert found["post_training"] > max(found["plain"], found["calibration"]) - 1.5, found
    for name, fixed in results.items():
        variance = [np.asarray(each.get_layer("norm").moving_variance)[0] for each in (model, fixed)]
        np.testing.assert_array_equal(*variance, err_msg=name)


def test_the_report_names_the_channels_that_were_left(model):
    one_step = "lsq(granularity='tensor')"  # whose errors a correction of the moments reduces
    bits = {"weight_bits": (2, 3), "activation_bits": (2, 3)}
    relaxed = tfmp.relax(model, quantizer=one_step, calibration=QUIET, **bits)
    fixed = tfmp.fix(relaxed, tfmp.BitAssignment.uniform(relaxed, 2, 2))
    framework = framework_of(fixed)
    report = quantize_after_training(fixed, in_floating_point(framework.read(fixed)), QUIET)
    assert report.taken == min(report.errors, key=report.errors.get) != "ranges"
    assert report.kept_channels["norm"] == 1
    assert (report.num_samples, report.num_held_out) == (64, 16)
    assert "norm 1" in str(report) and f"{report.errors[report.taken]:.4g}  taken" in str(report)


def test_the_error_of_the_report_is_that_of_the_network(model):
    """On samples that all are held out, since there are fewer than four."""
    relaxed = tfmp.relax(model, weight_bits=(3, 4), activation_bits=(3, 4), calibration=NATURAL)
    fixed = tfmp.fix(relaxed, tfmp.BitAssignment.uniform(relaxed, 3, 3))
    report = quantize_after_training(fixed, in_floating_point(framework_of(fixed).read(fixed)), NATURAL[:3])
    exact = np.asarray(model(NATURAL[:3]), np.float64)
    error = np.square(np.asarray(fixed(NATURAL[:3])) - exact).mean() / exact.var()
    assert report.errors[report.taken] == pytest.approx(error, rel=1e-3)


def test_few_values_move_no_normalization():
    keras.utils.set_random_seed(0)
    dense = keras.Sequential([keras.Input((5,)), kl.Dense(4), kl.BatchNormalization(), kl.ReLU(), kl.Dense(2)])
    x = RNG.normal(size=(16, 5)).astype(np.float32)
    assert reestimate_normalization(dense, x) == {dense.layers[1].name: 4}
    np.testing.assert_array_equal(dense.layers[1].moving_variance, np.ones(4))


def test_unfamiliar_data_are_said_and_move_no_normalization(model):
    exact = np.asarray(model(NATURAL))
    assert statistics_distance(model, NATURAL) < 0.01
    for data in (NATURAL * 255, NATURAL * 0.02, NATURAL + 3):
        assert statistics_distance(model, data) > 0.25
    for options in ({}, {"post_training": True}):
        with pytest.warns(UserWarning, match="calibration data differ from those"):
            fixed = at_8_bits(model, NATURAL * 255, calibration=NATURAL * 255, **options)
        for name in () if options else ("norm", "last_norm"):
            moved = [np.asarray(each.get_layer(name).moving_variance) for each in (model, fixed)]
            np.testing.assert_array_equal(*moved)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fixed = at_8_bits(model, NATURAL, calibration=NATURAL)
    assert decibels(exact, np.asarray(fixed(NATURAL))) > 20


def test_a_loss_needs_post_training(model):
    with pytest.raises(ValueError, match="`loss` needs `post_training=True`"):
        at_8_bits(model, NATURAL, calibration=NATURAL, loss=keras.losses.MeanSquaredError())
