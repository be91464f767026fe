"""The kinds of layers that the library knows, read from Keras 3."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tfmp.bindings.framework import framework_of
from tfmp.bindings.layer_kinds import kind_and_attributes


def read(function, shape=(4, 6, 8)):
    """Kind and attributes of what a function of a tensor adds to a model."""
    image = keras.Input(shape, name="image")
    model = keras.Model(image, function(image))
    (layer,) = (layer for layer in framework_of(model).read(model).in_order() if layer.kind != "input")
    return layer.kind, layer.attributes


KINDS = {
    "relu": (ops.relu, "relu", {"max_value": None}),
    "relu6": (ops.relu6, "relu", {"max_value": 6.0}),
    "clip": (lambda x: ops.clip(x, 0, 2), "relu", {"max_value": 2.0}),
    "clip below zero": (lambda x: ops.clip(x, -1, 2), "clip", {"low": -1, "high": 2}),
    "ReLU": (layers.ReLU(3), "relu", {"max_value": 3.0}),
    "ReLU leaky": (layers.ReLU(negative_slope=0.5), "leaky_relu", {"negative_slope": 0.5}),
    "ReLU leaky and clipped": (layers.ReLU(3, negative_slope=0.5), "general_relu", {"max_value": 3, "threshold": 0}),
    "ReLU from a threshold": (layers.ReLU(threshold=1.0), "general_relu", {"max_value": None, "threshold": 1}),
    "LeakyReLU": (layers.LeakyReLU(0.25), "leaky_relu", {"negative_slope": 0.25}),
    "leaky_relu": (lambda x: ops.leaky_relu(x, 0.125), "leaky_relu", {"negative_slope": 0.125}),
    "Activation leaky_relu": (layers.Activation("leaky_relu"), "leaky_relu", {"negative_slope": 0.2}),
    "PReLU": (layers.PReLU(shared_axes=[1, 2]), "prelu", {}),
    "ELU": (layers.ELU(), "elu", {}),
    "ELU of another scale": (layers.ELU(0.5), "elu_alpha", {"alpha": 0.5}),
    "elu": (ops.elu, "elu", {}),
    "selu": (ops.selu, "selu", {}),
    "gelu": (ops.gelu, "gelu", {"approximate": True}),
    "gelu exact": (lambda x: ops.gelu(x, approximate=False), "gelu", {"approximate": False}),
    "Activation gelu": (layers.Activation("gelu"), "gelu", {"approximate": False}),
    "silu": (ops.silu, "swish", {}),
    "Activation swish": (layers.Activation("swish"), "swish", {}),
    "hard_silu": (ops.hard_silu, "hard_swish", {}),
    "Activation hard_swish": (layers.Activation("hard_swish"), "hard_swish", {}),
    "hard_sigmoid": (ops.hard_sigmoid, "hard_sigmoid", {"factor": 1 / 6, "offset": 0.5}),
    "tanh": (ops.tanh, "tanh", {}),
    "softmax": (ops.softmax, "softmax", {}),
    "softmax over rows": (lambda x: ops.softmax(x, axis=1), "softmax", {"axis": 1}),
    "Softmax over rows": (layers.Softmax(axis=2), "softmax", {"axis": 2}),
    "custom activation": (layers.Activation(lambda x: x * x), "other", {}),
    "sum with a constant": (lambda x: x + 3, "affine", {"factor": 1.0, "offset": 3.0}),
    "constant first": (lambda x: 2 - x, "affine", {"factor": -1.0, "offset": 2.0}),
    "difference": (lambda x: ops.subtract(x, 1.5), "affine", {"factor": 1.0, "offset": -1.5}),
    "product": (lambda x: ops.multiply(x1=x, x2=0.5), "affine", {"factor": 0.5, "offset": 0.0}),
    "quotient": (lambda x: x / 4, "affine", {"factor": 0.25, "offset": 0.0}),
    "reciprocal": (lambda x: 4 / x, "other", {}),
    "negative": (lambda x: -x, "affine", {"factor": -1.0, "offset": 0.0}),
    "constant of each channel": (
        *(lambda x: x * np.arange(8, dtype="float32").reshape(1, 1, 1, 8), "affine"),
        {"factor": np.arange(8), "offset": 0.0},
    ),
    "constant of each row": (lambda x: x * np.ones((4, 1, 1), np.float32), "other", {}),
    "Rescaling": (layers.Rescaling([1.0] * 8, -1), "affine", {"factor": [1.0] * 8, "offset": -1}),
    "square": (lambda x: x * x, "multiply", {}),
    "sum": (lambda x: x + x, "add", {}),
    "Subtract": (lambda x: layers.Subtract()([x, x]), "subtract", {}),
    "concatenation": (lambda x: ops.concatenate([x, x], axis=1), "concatenate", {"axis": 1}),
    "reshape": (lambda x: ops.reshape(x, (-1, 24, 8)), "reshape", {}),
    "RepeatVector": (layers.RepeatVector(3), "repeat", {"count": 3}, (5,)),
    "Permute": (layers.Permute((3, 1, 2)), "permute", {"permutation": (0, 3, 1, 2)}),
    "transpose": (lambda x: ops.transpose(x, (0, 2, 1, 3)), "permute", {"permutation": (0, 2, 1, 3)}),
    "transpose of the batch": (lambda x: ops.transpose(x, (1, 0, 2, 3)), "other", {}),
    "ZeroPadding2D": (layers.ZeroPadding2D((1, 2)), "pad", {"paddings": ((1, 1), (2, 2))}),
    "ZeroPadding1D": (layers.ZeroPadding1D((0, 2)), "pad", {"paddings": ((0, 2),)}, (5, 3)),
    "pad": (lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0), (0, 0))), "pad", {"paddings": ((1, 2), (0, 0))}),
    "pad with ones": (lambda x: ops.pad(x, ((0, 0),) + ((1, 1),) * 2 + ((0, 0),), constant_values=1), "other", {}),
    "pad of channels": (lambda x: ops.pad(x, ((0, 0),) * 3 + ((1, 1),)), "other", {}),
    "Cropping2D": (layers.Cropping2D(1), "crop", {"croppings": ((1, 1), (1, 1))}),
    "Cropping1D": (layers.Cropping1D((1, 0)), "crop", {"croppings": ((1, 0),)}, (5, 3)),
    "UpSampling1D": (layers.UpSampling1D(3), "upsample", {"factors": (3,)}, (5, 3)),
    "UpSampling2D": (layers.UpSampling2D((1, 3)), "upsample", {"factors": (1, 3)}),
    "UpSampling2D bilinear": (layers.UpSampling2D(2, interpolation="bilinear"), "resize", {}),
    "UpSampling2D bicubic": (layers.UpSampling2D(2, interpolation="bicubic"), "other", {}),
    "channels first": (layers.MaxPooling2D(data_format="channels_first"), "other", {}),
    "mean of positions": (lambda x: ops.mean(x, (1, 2), keepdims=True), "mean", {"keepdims": True}),
    "mean of channels": (lambda x: ops.mean(x, -1), "reduce_mean", {"axes": (-1,)}),
    "AlphaDropout": (layers.AlphaDropout(0.5), "identity", {}),
    "LayerNormalization": (layers.LayerNormalization(), "other", {}),
}


@pytest.mark.parametrize("name", KINDS)
def test_kind_and_attributes(name):
    function, kind, attributes, *shape = KINDS[name]
    found, read_attributes = read(function, *shape)
    assert found == kind
    for key, value in attributes.items():
        np.testing.assert_allclose(*(np.nan if v is None else np.asarray(v) for v in (read_attributes[key], value)))


def test_names_mean_what_they_mean_in_their_framework():
    config = {"activation": "hard_sigmoid"}
    assert kind_and_attributes("Activation", config)[1] == {"factor": 1 / 6, "offset": 0.5}
    assert kind_and_attributes("Activation", config, framework="tf_keras")[1] == {"factor": 0.2, "offset": 0.5}


class Flatten(keras.layers.Layer):
    def call(self, x):
        return x


def test_a_users_class_is_not_known_by_its_name():
    assert read(Flatten())[0] == "other"
