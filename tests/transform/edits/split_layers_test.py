import keras
import numpy as np
import pytest
from keras import layers

import tfmp
from tfmp.bindings.framework import framework_of
from tfmp.transform.edits.split_layers import with_split_separables


def separable(**arguments):
    arguments = {"depth_multiplier": 2, "depthwise_regularizer": "l1", "pointwise_constraint": "non_neg", **arguments}
    image = keras.Input((7, 6, 3), name="image")
    layer = layers.SeparableConv2D(5, (3, 2), name="both", **arguments)
    return keras.Model(image, layer(image), name="model")


@pytest.mark.parametrize(
    "arguments",
    [{"strides": 2, "padding": "same", "activation": "tanh"}, {"use_bias": False}, {"dilation_rate": 2}],
    ids=str,
)
def test_the_two_parts_compute_what_the_layer_computes(arguments):
    model = separable(**arguments)
    model.set_weights([np.random.default_rng(0).normal(size=w.shape) for w in model.get_weights()])
    framework = framework_of(model)
    graph = with_split_separables(framework.read(model))
    split = framework.write(graph)
    assert [layer.name for layer in split.layers] == ["image", "both_depthwise", "both"]
    x = np.random.default_rng(1).normal(size=(2, 7, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(split(x), model(x), rtol=1e-4, atol=1e-4)
    assert split.count_params() == model.count_params() == sum(layer.num_parameters for layer in graph.in_order())
    assert split.get_layer("both_depthwise").depthwise_regularizer and split.get_layer("both").kernel_constraint


def test_a_layer_called_twice_is_split_once():
    image = keras.Input((6, 6, 3), name="image")
    both = layers.SeparableConv2D(3, 3, padding="same", name="both")
    model = keras.Model(image, layers.Dense(2, name="head")(both(both(image))))
    framework = framework_of(model)
    graph = with_split_separables(framework.read(model))
    assert [call.layer for call in graph.calls[1:]] == ["both_depthwise", "both", "both_depthwise", "both", "head"]
    x = np.random.default_rng(1).normal(size=(2, 6, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(framework.write(graph)(x), model(x), rtol=1e-4, atol=1e-5)


def test_both_parts_are_listed_priced_and_simulated():
    x = image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, name="first")(x)
    x = layers.SeparableConv2D(6, 3, depth_multiplier=2, name="both")(x)
    x = layers.Conv2DTranspose(5, 3, strides=2, name="up")(x)
    model = keras.Model(image, layers.Dense(3, name="last")(layers.Flatten()(x)))
    report = tfmp.inspect(model)
    macs = {"first": 36 * 9 * 3 * 4, "both_depthwise": 16 * 9 * 4 * 2, "both": 16 * 8 * 6}
    macs |= {"up": 4 * 4 * 9 * 6 * 5, "last": 9 * 9 * 5 * 3}
    assert {row.name: row.macs for row in report.rows if row.macs} == macs
    assert report["both_depthwise"].status == report["both"].status == "searched"
    assert (report["up"].status, report["up"].reason) == (
        *("8 bits", "a transposed convolution: the runtime computes it at 8 bits"),
    )
    assert tfmp.cost(model, "flops") == sum(macs.values())
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(4,))
    assert tfmp.cost(relaxed, "bitops", {"both_depthwise": (2, 4), "both": (4, 4)}) == (
        64 * (macs["first"] + macs["up"] + macs["last"]) + 8 * macs["both_depthwise"] + 16 * macs["both"]
    )
    simulated = tfmp.simulate(model, assignment=(4, 4), batch=1)
    found = {layer.name: layer.macs for layer in simulated.layers if layer.modelled}
    # The array multiplies the zeros between the inputs of a transposed convolution, too.
    assert found == {**macs, "up": 81 * 9 * 6 * 5}
