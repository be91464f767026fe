import keras
import numpy as np
import pytest
from keras import layers

from tests.transform.small_networks import inputs_for, outputs_of, plain, residual, trained
from tfmp.bindings.framework import framework_of
from tfmp.operators import kernel_of
from tfmp.transform.edits.equalized import equalized


def chain(activation):
    """A normalized convolution, a depthwise one with bias, a convolution and a dense layer, of uneven channels."""
    x = inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, use_bias=False, name="first")(x)
    x = activation(name="first_activation")(layers.BatchNormalization(name="norm")(x))
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise")(x)
    x = layers.Conv2D(5, 1, name="pointwise")(x)
    x = layers.Flatten()(activation(name="last_activation")(x))
    model = trained(keras.Model(inputs, layers.Dense(2, name="head")(x)))
    for name in ("first", "depthwise", "pointwise"):
        kernel = model.get_layer(name).kernel
        kernel.assign(kernel * np.exp(np.random.default_rng(0).normal(scale=1.5, size=kernel.shape[-1])))
    return model


def spread(graph, name):
    """Ratio of the largest to the smallest channel of a kernel."""
    layer = graph.layers[name]
    magnitudes = np.abs(kernel_of(layer).by_channel(layer.weights["kernel"])).max(axis=0)
    return magnitudes.max() / magnitudes.min()


def test_channels_become_even_and_the_outputs_stay():
    model = chain(layers.ReLU)
    framework = framework_of(model)
    before = framework.read(model)
    after = equalized(before)
    assert spread(after, "first") == pytest.approx(1, rel=1e-5) and spread(before, "first") > 2
    assert spread(after, "depthwise") < spread(before, "depthwise")
    # Nagel et al.: the ranges on both sides are then equal, channel by channel.
    last, reads = after.layers["depthwise"], after.layers["pointwise"].weights["kernel"]
    computes = np.abs(kernel_of(last).by_channel(last.weights["kernel"])).max(axis=0)
    np.testing.assert_allclose(computes, np.abs(reads).max(axis=(0, 1, 3)), rtol=1e-4)
    x = inputs_for(model, 32)
    exact = outputs_of(model, x)[0]
    np.testing.assert_allclose(outputs_of(framework.write(after), x)[0], exact, atol=1e-5 * np.abs(exact).max())


def test_bounded_activations_are_not_crossed():
    model = chain(lambda name: layers.ReLU(6.0, name=name))
    before = framework_of(model).read(model)
    after = equalized(before)
    np.testing.assert_array_equal(after.layers["first"].weights["kernel"], before.layers["first"].weights["kernel"])
    assert not np.array_equal(after.layers["pointwise"].weights["kernel"], before.layers["pointwise"].weights["kernel"])


@pytest.mark.parametrize("make", [plain, residual])
def test_other_networks_compute_the_same(make):
    model = trained(make())
    framework = framework_of(model)
    x = inputs_for(model, 32)
    exact = outputs_of(model, x)[0]
    found = outputs_of(framework.write(equalized(framework.read(model))), x)[0]
    np.testing.assert_allclose(found, exact, atol=1e-5 * np.abs(exact).max())
