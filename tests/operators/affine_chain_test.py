"""Chains of affine maps against the Keras layers they stand for."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from tfmp.bindings.framework import framework_of
from tfmp.operators.affine_chain import affine_chain, is_affine

NUMBERS = st.floats(-2, 2).map(lambda number: round(number, 2))
STEPS = st.one_of(
    st.tuples(st.just("scale"), NUMBERS),
    st.tuples(st.just("shift"), NUMBERS),
    st.tuples(st.just("normalize"), NUMBERS),
    st.tuples(st.just("relu"), st.sampled_from([None, 1.5])),
    st.tuples(st.sampled_from(["drop", "gate"]), st.none()),
)


def apply(x, step, value):
    if step == "scale":
        return x * value
    if step == "shift":
        return x + value
    if step == "normalize":
        layer = layers.BatchNormalization()
        x = layer(x)
        layer.gamma.assign([value, 1.0, -0.5])
        layer.moving_mean.assign([0.1, value, 0.0])
        return x
    return {"relu": layers.ReLU(value), "drop": layers.Dropout(0.1), "gate": layers.Activation("hard_sigmoid")}[step](x)


def build(start, steps):
    x = inputs = keras.Input((2, 2, 3), name="image")
    x = layers.Conv2D(3, 1, activation=start, name="conv")(x)
    for step in steps:
        x = apply(x, *step)
    return keras.Model(inputs, layers.Rescaling(0.5, name="last")(x))


@settings(max_examples=10, deadline=None)
@given(start=st.sampled_from(["linear", "relu", "relu6", "tanh"]), steps=st.lists(STEPS, max_size=5))
def test_a_chain_computes_what_its_layers_compute(start, steps):
    keras.utils.set_random_seed(1)
    model = build(start, steps)
    graph = framework_of(model).read(model)
    chain = affine_chain(graph, graph.calls[-1])
    x = np.random.default_rng(0).normal(0, 2, (4, 2, 2, 3)).astype(np.float32)
    before, expected = framework_of(model).tensor_model(model, [chain.source, "last"])(x)
    if chain.product is not None:  # which clips after the maps
        conv = model.get_layer("conv")
        before = keras.ops.conv(x, conv.kernel) + conv.bias
    found = np.clip(chain.map(np.asarray(before, np.float64)), chain.low, chain.high)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert chain.low <= 0 <= chain.high


# By hand: where a chain starts, and whether the convolution computes it.
@pytest.mark.parametrize(
    ("start", "steps", "source"),
    [
        ("linear", [], "conv"),
        ("linear", [("scale", 2.0), ("drop", None), ("shift", -1.0), ("normalize", 0.5)], "conv"),
        ("linear", [("shift", 3.0), ("relu", 6.0)], "conv"),
        ("relu6", [("scale", 0.5)], "conv"),
        ("tanh", [], None),
        ("linear", [("scale", 2.0), ("relu", None), ("shift", 1.0)], "re_lu"),  # its smallest value would not be zero
        ("linear", [("relu", None), ("scale", -1.0)], "re_lu"),
        ("linear", [("relu", None), ("normalize", 1.0)], "re_lu"),  # each channel would have another clip
    ],
)
def test_where_a_chain_starts(start, steps, source):
    model = build(start, steps)
    graph = framework_of(model).read(model)
    chain = affine_chain(graph, graph.calls[-1])
    assert chain.source == (source or "conv")
    assert (chain.product is None) == (source != "conv")


def test_a_tensor_with_two_readers_is_stored():
    inputs = keras.Input((2, 2, 3))
    x = layers.Conv2D(3, 1, name="conv")(inputs)
    model = keras.Model(inputs, [layers.Rescaling(2.0, name="twice")(x), x])
    graph = framework_of(model).read(model)
    (call,) = (call for call in graph.calls if call.layer == "twice")
    assert affine_chain(graph, call).product is None


def test_normalizations_of_other_axes_are_no_maps_of_channels():
    inputs = keras.Input((2, 2, 3))
    x = layers.BatchNormalization(axis=1, name="rows")(inputs)
    x = layers.Normalization(axis=(1, 3), mean=np.zeros((2, 3)), variance=np.ones((2, 3)), name="both")(x)
    x = layers.Normalization(axis=None, mean=1.0, variance=4.0, name="all")(x)
    model = keras.Model(inputs, layers.Normalization(axis=-1, invert=True, mean=[0.0] * 3, variance=[4.0] * 3)(x))
    graph = framework_of(model).read(model)
    assert [is_affine(graph, call) for call in graph.calls] == [False, False, False, True, True]
    chain = affine_chain(graph, graph.calls[-1])
    assert chain.source == "both"
    np.testing.assert_allclose(chain.map(5.0), (5 - 1) / 2 * 2)
