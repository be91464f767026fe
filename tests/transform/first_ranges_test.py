"""Ranges of a relaxed model, from calibration data or its first batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmp
from tests.transform.small_networks import inputs_for, outputs_of, residual, several, shared_layer, trained


def selectors(model):
    return [
        selector
        for layer in model.layers
        for selector in (getattr(layer, "weight_selector", None), getattr(layer, "activation_selector", None))
        if selector is not None
    ]


@pytest.mark.parametrize(
    "calibration",
    [
        lambda x: x,
        lambda x: tf.data.Dataset.from_tensor_slices(x).batch(5),
        lambda x: tf.data.Dataset.from_tensor_slices((x, np.zeros(len(x)))).batch(16),
        lambda x: [x],
    ],
    ids=["array", "dataset", "dataset_with_targets", "list"],
)
def test_calibration_sets_every_range(calibration):
    model = trained(residual())
    x = inputs_for(model)
    relaxed = tfmp.relax(model, calibration=calibration(x))
    assert all(selector.is_calibrated for selector in selectors(relaxed))
    head = relaxed.get_layer("head_quantizer").activation_selector
    outputs = outputs_of(model, x)[0]
    minimum, maximum = (next(v for v in head.variables if v.name == name) for name in ("minimum", "maximum"))
    np.testing.assert_allclose([minimum, maximum], [outputs.min(), outputs.max()], rtol=1e-4)
    inside = relaxed.get_layer("inside").activation_selector
    positive = outputs_of(keras.Model(model.input, model.get_layer("first_relu").output), x)[0]
    positive = positive[positive > 0]
    expected = np.sqrt(np.mean(positive**2)) * inside.quantizers[-1].unit_step
    np.testing.assert_allclose(next(v for v in inside.variables if v.name == "step"), expected, rtol=0.01)


def test_without_calibration_the_first_batch_sets_the_ranges():
    model = trained(residual())
    relaxed = tfmp.relax(model)
    activations = [layer.activation_selector for layer in relaxed.layers if hasattr(layer, "activation_selector")]
    assert not any(selector.is_calibrated for selector in activations)
    relaxed(inputs_for(model), training=True)
    assert all(selector.is_calibrated for selector in activations)


def test_calibration_of_several_inputs():
    model = trained(several())
    relaxed = tfmp.relax(model, calibration=inputs_for(model))
    assert all(selector.is_calibrated for selector in selectors(relaxed))
    maximum = next(v for v in relaxed.get_layer("right_first").activation_selector.variables if v.name == "maximum")
    np.testing.assert_allclose(maximum, inputs_for(model)["right"].max(), rtol=1e-6)


def test_a_shared_layer_is_calibrated_on_all_its_inputs():
    model = trained(shared_layer())
    model.get_layer("twice").kernel.assign(np.abs(model.get_layer("twice").kernel) * 10)
    x = inputs_for(model)
    relaxed = tfmp.relax(model, activation_bits=(8,), calibration=x)
    first = keras.Model(model.input, model.get_layer("first").output)(x)
    both = np.concatenate([np.ravel(first), np.ravel(model.get_layer("twice")(first))])
    selector = relaxed.get_layer("twice").activation_selector
    expected = selector.quantizers[0].initial_state(both)["step"]
    np.testing.assert_allclose(next(v for v in selector.variables if v.name == "step"), expected, rtol=0.01)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda x: np.where(x > 1, np.nan, x), "finite"),
        (lambda x: np.where(x > 1, np.inf, x), "finite"),
        (lambda x: x[:0], "at least one"),
        (lambda x: [], "without arrays"),
        (lambda x: np.float32(3), "Received"),
        (lambda x: list(x), "one array for each of the 1 inputs.*np.stack"),
        (lambda x: tf.data.Dataset.from_tensor_slices(x[:0]).batch(4), "at least one"),
        (lambda x: tf.data.Dataset.from_tensor_slices(x * np.nan).batch(4), "finite"),
    ],
    ids=["nan", "inf", "empty", "empty_list", "scalar", "list_of_samples", "empty_dataset", "nan_dataset"],
)
def test_bad_calibration_data(broken, message):
    model = residual()
    with pytest.raises(ValueError, match=message):
        tfmp.relax(model, calibration=broken(inputs_for(model)))
