"""Errors about layers that cannot be folded name the layer and say what to do."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

import tfmp
from tfmp.bindings import claims, custom_layers
from tfmp.bindings.framework import framework_of
from tfmp.transform.fold import fold_graph

IMAGES = np.random.default_rng(0).uniform(-1, 1, (8, 6, 6, 3)).astype(np.float32)


def float_model(*, middle=None):
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 3), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="first")(image)
    x = layers.Conv2D(4, 1, activation="relu", name="second")(x)
    x = x if middle is None else middle(x)
    return keras.Model(image, layers.Dense(3, name="last")(layers.Flatten()(x)), name="small")


def relaxed(model=None, **arguments):
    arguments = {"weight_bits": (2,), "activation_bits": (2,), "calibration": IMAGES, **arguments}
    return tfmp.relax(model or float_model(), **arguments)


def conv(**arguments):
    arguments = {"weight_bits": 4, "activation_bits": 4, "signed_input": True, "name": "conv", **arguments}
    return tfmp.layers.MixedPrecisionConv2D(4, 1, **arguments)


def by_hand(*stack):
    """A model of a chain of layers whose ranges were set by a batch."""
    x = image = keras.Input((6, 6, 3), name="image")
    for layer in stack:
        x = layer(x)
    model = keras.Model(image, x, name="by_hand")
    model(IMAGES, training=True)
    return model


def out():
    return tfmp.layers.Quantize(name="out")


def test_a_model_that_folds():
    # What the tests below vary.
    assert tfmp.fold(relaxed())(IMAGES).shape == (8, 3)
    assert tfmp.fold(by_hand(conv(), out()))(IMAGES).shape == (8, 6, 6, 4)


def test_open_bits():
    with pytest.raises(ValueError, match="still open: second. Call `tfmp.discretize` and `tfmp.fix`"):
        tfmp.fold(relaxed(weight_bits=(1, 2)))


def test_a_float_model():
    with pytest.raises(ValueError, match="`small` has no quantized layer"):
        tfmp.fold(float_model())


def test_not_a_model():
    with pytest.raises(TypeError, match="`fixed` must be a Keras model. Received: 'model.keras'"):
        tfmp.fold("model.keras")


@pytest.mark.parametrize("quantizer", ["lsq", "moving_range"])
def test_ranges_never_calibrated(quantizer):
    with pytest.raises(ValueError, match="Layer `first` was never calibrated.*calibration data, or train"):
        tfmp.fold(relaxed(calibration=None))
    model = relaxed(calibration=None, quantizer=("lsq", quantizer), first_and_last="search")
    model.get_layer("first").activation_selector.calibrate(IMAGES)
    with pytest.raises(ValueError, match="Layer `second` was never calibrated"):
        tfmp.fold(model)
    model(IMAGES, training=True)
    assert tfmp.fold(model)(IMAGES).shape == (8, 3)


@pytest.mark.parametrize("quantizer", ["lsq", "moving_range"])
def test_calibration_data_is_enough(quantizer):
    model = relaxed(quantizer=("lsq", quantizer), weight_bits=(2, 4))
    assert tfmp.fold(tfmp.fix(model, {"second": (2, 2)}))(IMAGES).shape == (8, 3)


def test_activations_of_the_linear_quantizer():
    stored = tfmp.layers.Quantize(name="stored")
    with pytest.raises(ValueError, match="`conv` has `linear` for its input.*moving_range"):
        tfmp.fold(by_hand(stored, conv(quantizer="linear"), out()))


def test_kernels_wider_than_eight_bits():
    with pytest.raises(ValueError, match="`conv` has 8 bits of `hwgq`.*codes up to 255.*at most 7 bits"):
        tfmp.fold(by_hand(conv(quantizer=("hwgq", "lsq"), weight_bits=8), out()))
    assert tfmp.fold(relaxed(quantizer="hwgq", weight_bits=7))(IMAGES).shape == (8, 3)


def test_one_signed_bit_of_activation():
    with pytest.raises(ValueError, match="Layer `conv` has 1 bit for an input that can be negative.*Use 2 bits"):
        tfmp.fold(by_hand(conv(activation_bits=1), out()))


def test_a_layer_without_integer_form():
    middle = layers.LayerNormalization(name="strange")
    with pytest.raises(ValueError, match="where `strange` is a `LayerNormalization`, .*Without `integer_only`"):
        relaxed(float_model(middle=middle), integer_only=True)
    model = relaxed(float_model(middle=middle))
    assert tfmp.fold(model)(IMAGES).shape == (8, 3)
    graph = dataclasses.replace(framework_of(model).read(model), converter=None)
    with pytest.raises(ValueError, match="Layer `strange` is a `LayerNormalization`, which has no integer form"):
        fold_graph(graph)


def test_a_layer_without_operators():
    model = relaxed(float_model(middle=lambda x: keras.ops.sinh(x)))
    with pytest.raises(ValueError, match="Layer `sinh` has no operators in the runtime: Sinh.*Replace the layer"):
        tfmp.fold(model)


def test_tensors_that_nothing_quantizes():
    with pytest.raises(ValueError, match="Layer `conv`'s output is an output of the model.*`tfmp.layers.Quantize`"):
        tfmp.fold(by_hand(conv()))
    image = keras.Input((6, 6, 3), name="image")
    total = layers.Add(name="sum")([conv(name="left")(image), conv(name="right")(image)])
    model = keras.Model(image, out()(total))
    model(IMAGES, training=True)
    with pytest.raises(ValueError, match="Layer `left`'s output is read by `sum`, and nothing quantizes it"):
        tfmp.fold(model)


def test_sums_of_three_that_no_transform_split():
    image = keras.Input((6, 6, 4), name="image")
    stored = tfmp.layers.Quantize(name="stored")(image)
    total = layers.Add(name="sum")([stored, stored, stored])
    model = keras.Model(image, out()(conv()(total)))
    model(np.ones((2, 6, 6, 4)), training=True)
    with pytest.raises(ValueError, match="Layer `sum` adds 3 tensors.*pairs"):
        tfmp.fold(model)


@pytest.mark.parametrize("arguments", [{"weight_bits": None}, {"activation_bits": None}])
def test_a_layer_that_is_quantized_by_half(arguments):
    with pytest.raises(ValueError, match="Layer `conv` has its weights or its input in floating point"):
        tfmp.fold(by_hand(conv(**arguments), out()))


def test_first_and_last_in_floating_point():
    with pytest.raises(ValueError, match='Layer `first` has its weights.*first_and_last="float"'):
        tfmp.fold(relaxed(first_and_last="float"))


@pytest.mark.parametrize("activation", ["tanh", "softmax", lambda x: x * x])
def test_an_activation_that_no_operator_has(activation):
    with pytest.raises(ValueError, match="Layer `conv`'s activation .*linear, relu, relu6"):
        tfmp.fold(by_hand(conv(activation=activation), out()))


def test_channels_first():
    image = keras.Input((3, 6, 6), name="image")
    model = keras.Model(image, out()(conv(data_format="channels_first")(image)))
    with pytest.raises(ValueError, match="Layer `conv`'s channels come first.*channels_last"):
        tfmp.fold(model)


def test_normalization_of_several_axes():
    normalization = layers.Normalization(axis=(1, 3), mean=0.5, variance=2.0, name="rows")
    model = by_hand(tfmp.layers.Quantize(name="stored"), normalization, conv(), out())
    with pytest.raises(ValueError, match="Layer `rows` normalizes axis 1, 3"):
        tfmp.fold(model)


def combined(layer, *shapes):
    """A layer of several stored tensors, each a reshaping of one image."""
    image = keras.Input((6, 6, 4), name="image")
    stored = tfmp.layers.Quantize(name="stored")(image)
    x = layer([layers.Reshape(shape)(stored) for shape in shapes])
    model = keras.Model(image, out()(x))
    model(np.random.default_rng(0).normal(size=(2, 6, 6, 4)), training=True)
    return model


def test_products_of_three_that_no_transform_split():
    with pytest.raises(ValueError, match="Layer `three` multiplies 3 tensors.*in pairs"):
        tfmp.fold(combined(layers.Multiply(name="three"), *[(6, 6, 4)] * 3))


@pytest.mark.parametrize("layer", [layers.Add, layers.Multiply, layers.Subtract])
def test_tensors_of_different_rank(layer):
    with pytest.raises(ValueError, match="Layer `both` reads tensors of 2 and 3 axes.*Reshape the smaller"):
        tfmp.fold(combined(layer(name="both"), (144,), (1, 144)))


def test_a_reshaping_across_the_batch(monkeypatch):
    monkeypatch.setattr(custom_layers, "_registered", {})
    tfmp.register_layer(Merged, "reshape")
    model = by_hand(tfmp.layers.Quantize(name="stored"), Merged(name="merged"), out())
    with pytest.raises(ValueError, match=r"`merged` \(Merged\) is registered as 'reshape', but .*cannot reshape"):
        tfmp.fold(model)
    monkeypatch.setattr(claims, "check_claim", lambda *_, **__: None)
    with pytest.raises(ValueError, match="Layer `merged` reshapes .*The batch must stay first"):
        tfmp.fold(model)


@keras.saving.register_keras_serializable("tests")
class Merged(layers.Layer):
    def call(self, x):
        return keras.ops.reshape(x, (-1, x.shape[-1]))
