"""Composite layers against the layers into which they are split."""

import sys

import keras
import numpy as np
import pytest
import tf_keras
from keras import layers

import tfmp
from tfmp.bindings.framework import framework_of
from tfmp.transform.edits.parts import with_parts


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
    graph = with_parts(framework.read(model))
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
    graph = with_parts(framework.read(model))
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
    assert {report[name].status for name in ("both_depthwise", "both", "up")} == {"searched"}
    assert tfmp.cost(model, "flops") == sum(macs.values())
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(4,))
    bits = {"both_depthwise": (2, 4), "both": (4, 4), "up": (2, 4)}
    assert tfmp.cost(relaxed, "bitops", bits) == (
        64 * (macs["first"] + macs["last"]) + 8 * (macs["both_depthwise"] + macs["up"]) + 16 * macs["both"]
    )
    simulated = tfmp.simulate(model, assignment=(4, 4), batch=1)
    found = {layer.name: layer.macs for layer in simulated.layers if layer.modelled}
    # The array multiplies the zeros between the inputs of a transposed convolution, too.
    assert found == {**macs, "up": 81 * 9 * 6 * 5}


def of_attention(package, **call):
    """Self-attention, attention to another sequence, and what only Keras 3 has."""
    kl = package.layers
    one, two = package.Input((5, 6), name="one"), package.Input((7, 4), name="two")
    x = kl.MultiHeadAttention(2, 3, value_dim=5, name="self")(one, one, **call)
    x = kl.MultiHeadAttention(3, 2, use_bias=False, output_shape=8, dropout=0.1, name="cross")(x, two, key=two)
    if package is keras:
        x = kl.GroupQueryAttention(3, 4, 2, name="grouped")(x, x)
    return package.Model([one, two], x, name="attention")


def of_dense_products(package):
    """Equations that are matrix products, and a dense layer for each time step."""
    kl = package.layers
    image = package.Input((5, 6), name="one")
    x = kl.EinsumDense("abc,cde->abde", (5, 3, 4), bias_axes="de", name="makes_two")(image)
    x = kl.EinsumDense("abcd,ecd->abe", (5, 8), bias_axes="e", activation="tanh", name="sums_two")(x)
    x = kl.EinsumDense("...c,dc->...d", 7, name="any_rank")(x)
    x = kl.TimeDistributed(kl.Dense(4, activation="relu"), name="steps")(x)
    return package.Model(image, x, name="products")


@pytest.mark.parametrize(
    ("build", "searched", "floating"),
    [
        (
            of_attention,
            [f"{name}{part}" for name in ("self", "cross") for part in ("_query", "_key", "_value", "")],
            ["self_core", "cross_core"],
        ),
        (of_dense_products, ["makes_two", "sums_two", "any_rank", "steps"], []),
    ],
    ids=["attention", "dense_products"],
)
@pytest.mark.parametrize("package", [keras, tf_keras])
def test_layers_of_dense_layers(package, build, searched, floating):
    model = build(package)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    framework = framework_of(model)
    split = framework.write(with_parts(framework.read(model)))
    inputs = [rng.normal(size=(3, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    np.testing.assert_allclose(split(inputs), model(inputs), rtol=1e-4, atol=1e-5)
    assert split.count_params() == model.count_params()
    if package is keras and floating:
        searched = [*searched, *(f"grouped{part}" for part in ("_query", "_key", "_value", ""))]
        floating = [*floating, "grouped_core"]
    rows = tfmp.inspect(model, first_and_last="search").rows
    assert [row.name for row in rows if row.status == "searched"] == searched
    assert [row.name for row in rows if row.status == "float"] == floating


def test_attention_that_looks_back():
    model = of_attention(keras, use_causal_mask=True)
    framework = framework_of(model)
    split = framework.write(with_parts(framework.read(model)))
    inputs = [np.random.default_rng(0).normal(size=(2, *each.shape[1:])).astype(np.float32) for each in model.inputs]
    np.testing.assert_allclose(split(inputs), model(inputs), rtol=1e-4, atol=1e-5)
    part = keras.Model(split.inputs, split.get_layer("self").output)
    changed = [inputs[0].copy(), inputs[1]]
    changed[0][:, 3:] += 1
    same = np.isclose(part(inputs), part(changed), atol=1e-6).all((0, 2))
    assert same.tolist() == [True] * 3 + [False] * 2


def test_attention_that_stays_whole():
    tokens, x = keras.Input((6,), dtype="int32"), keras.Input((6, 4))
    mask = keras.Input((6, 6), dtype="bool")
    masked = layers.Embedding(9, 4, mask_zero=True)(tokens)
    for inputs, output in (
        ([tokens], layers.MultiHeadAttention(2, 3, name="whole")(masked, masked)),
        ([x, mask], layers.MultiHeadAttention(2, 3, name="whole")(x, x, attention_mask=mask)),
        ([x], layers.MultiHeadAttention(2, 3, name="whole", kernel_constraint="non_neg")(x, x)),
        ([x], layers.MultiHeadAttention(2, 3, name="whole")(x, x, return_attention_scores=True)[1]),
        ([x], layers.EinsumDense("abc,bcd->abd", (6, 2), name="whole")(x)),
        ([x], layers.EinsumDense("abc,cde->abde", (6, 2, 3), activation="softmax", name="whole")(x)),
        ([x], layers.TimeDistributed(layers.LayerNormalization(), name="whole")(x)),
    ):
        graph = with_parts(framework_of(model := keras.Model(inputs, output)).read(model))
        assert "whole" in graph.layers and not any(name.startswith("whole_") for name in graph.layers)


def test_layers_of_known_architectures():
    image = keras.Input((7, 8, 3), name="image")
    x = layers.Conv2D(6, 3, padding="same", name="first")(image)
    y = layers.Conv2D(6, 1, name="inside")(x)
    convnext, inception = (
        sys.modules[f"keras.src.applications.{name}"] for name in ("convnext", "inception_resnet_v2")
    )
    y = convnext.StochasticDepth(0.1, name="depth")(convnext.LayerScale(0.2, 6, name="scale")(y))
    x = inception.CustomScaleLayer(0.3, name="sum")([x, y])
    model = keras.Model(image, layers.Dense(3, name="last")(layers.Flatten()(x)))
    model.get_layer("scale").set_weights([np.linspace(-1, 1, 6)])
    framework = framework_of(model)
    graph = with_parts(framework.read(model))
    data = np.random.default_rng(0).normal(size=(2, 7, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(framework.write(graph)(data), model(data), rtol=1e-4, atol=1e-5)
    assert {graph.layers[name].kind for name in ("scale", "depth", "sum_scaled", "sum")} == {
        *("layer_scale", "identity", "affine", "add"),
    }
    assert str(tfmp.inspect(model).exports["fast"]) == "yes"
