"""Models and weights that version 0.1.0 saved, whose kernels have one step, beside those with one per channel."""

import keras
import numpy as np
import pytest
import tf_keras

import tfmp
from tests import golden_files

FRAMEWORKS = {"keras": keras, "tf_keras": tf_keras}


def kernel_steps(model):
    """The variables with the steps of all kernels of a model."""
    selectors = [getattr(layer, "weight_selector", None) for layer in model.layers]
    variables = [variable for selector in selectors if selector is not None for variable in selector.variables]
    return [variable for variable in variables if variable.name.split("/")[-1].startswith("step")]


@pytest.mark.default_cases("keras_plain")
@pytest.mark.parametrize("name", ["keras_plain", "tf_keras_inverted_residual"])
def test_a_saved_model_keeps_one_step_for_each_kernel(name, tmp_path):
    model = tfmp.load_model(golden_files.path_of(name))
    for _ in range(2):
        steps = kernel_steps(model)
        assert len(steps) > 1 and all(step.shape == () for step in steps)
        quantizers = {layer.quantizer for layer in model.layers if hasattr(layer, "weight_selector")}
        assert "lsq(granularity='tensor')" in quantizers and "lsq" not in quantizers
        model.save(tmp_path / "again.keras")
        model = tfmp.load_model(tmp_path / "again.keras")


def relaxed(framework, quantizer):
    """A search model with the same random weights every time."""
    framework.utils.set_random_seed(0)
    x = inputs = framework.Input((6, 6, 2))
    for layer in (
        framework.layers.Conv2D(4, 3, activation="relu"),
        framework.layers.DepthwiseConv2D(3, activation="relu"),
        framework.layers.Flatten(),
        framework.layers.Dense(3),
    ):
        x = layer(x)
    return tfmp.relax(framework.Model(inputs, x), quantizer=quantizer, calibration=data(), first_and_last="search")


def data():
    return np.random.default_rng(0).normal(size=(8, 6, 6, 2)).astype(np.float32)


@pytest.mark.default_cases("keras")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_weights_with_one_step_for_each_kernel_load_as_equal_steps_of_its_channels(framework, tmp_path):
    old, new = (relaxed(FRAMEWORKS[framework], name) for name in ("lsq(granularity='tensor')", "lsq"))
    for step in kernel_steps(old):
        step.assign(1.2 * np.asarray(step))
    old.save_weights(tmp_path / "old.weights.h5")
    assert np.abs(np.asarray(new(data())) - np.asarray(old(data()))).max() > 1e-4
    new.load_weights(tmp_path / "old.weights.h5")
    pairs = list(zip(kernel_steps(new), kernel_steps(old), strict=True))
    assert [step.shape.rank if framework == "tf_keras" else len(step.shape) for step, _ in pairs] == [4, 4, 2]
    for steps, step in pairs:
        np.testing.assert_array_equal(steps, np.full(steps.shape, step))
    np.testing.assert_allclose(np.asarray(new(data())), np.asarray(old(data())), rtol=1e-5, atol=1e-6)


@pytest.mark.default_cases("keras")
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_weights_with_a_step_for_each_channel_load_as_they_were_saved(framework, tmp_path):
    model, again = relaxed(FRAMEWORKS[framework], "lsq"), relaxed(FRAMEWORKS[framework], "lsq")
    for step in kernel_steps(model):
        step.assign(np.asarray(step) * np.random.default_rng(0).uniform(0.5, 2, step.shape))
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    again.load_weights(tmp_path / "model.weights.h5")
    for other in (again, tfmp.load_model(tmp_path / "model.keras")):
        for actual, expected in zip(kernel_steps(other), kernel_steps(model), strict=True):
            np.testing.assert_array_equal(actual, expected)
