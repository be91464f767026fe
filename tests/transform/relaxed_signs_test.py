"""Which inputs and stored tensors of a relaxed model can be negative."""

import keras
import pytest
from keras import layers as kl

import tfmp
from tests.transform.small_networks import quantizers_of, residual
from tfmp.bindings.keras3.keras3_framework import Keras3Framework

KERAS_3 = Keras3Framework()


def test_signed_inputs_are_known_from_the_graph():
    relaxed = tfmp.relax(residual(), first_and_last="search")
    signed = {layer.name: layer.signed_input for layer in relaxed.layers if hasattr(layer, "signed_input")}
    assert signed == {
        "first": True,  # the image
        "inside": False,  # after a ReLU
        "before_addition": False,
        "after_addition": False,  # ReLU, then pooling
        "head": False,  # average of a ReLU
    }
    assert {q: relaxed.get_layer(q).signed for q in sorted(quantizers_of(relaxed))} == {
        "after_addition_quantizer": False,
        "before_addition_quantizer": True,
        "first_relu_quantizer": False,
        "head_quantizer": True,
    }


@pytest.mark.parametrize(
    ("between", "signed"),
    [
        ([kl.ReLU()], False),
        ([kl.Activation("relu")], False),
        ([kl.Activation("sigmoid"), kl.ReLU()], False),
        ([kl.ReLU(), kl.AveragePooling2D(2), kl.ZeroPadding2D(), kl.Dropout(0.1)], False),
        ([kl.ReLU(), kl.BatchNormalization()], True),
        ([kl.ReLU(negative_slope=0.1)], True),
        ([kl.LeakyReLU()], True),
        ([kl.Activation("tanh")], True),
        ([], True),
    ],
    ids=lambda value: "-".join(layer.name for layer in value) or "nothing" if isinstance(value, list) else None,
)
def test_signed_input_behind(between, signed):
    model = keras.Sequential([keras.Input((8, 8, 2)), kl.Conv2D(3, 3), *between, kl.Conv2D(2, 3, name="here")])
    assert tfmp.relax(model, first_and_last="search").get_layer("here").signed_input is signed


def test_an_addition_is_signed_if_a_summand_is():
    for second, signed in ((kl.Identity(), True), (kl.ReLU(), False)):
        inputs = keras.Input((6, 6, 2))
        x = kl.ReLU()(kl.Conv2D(2, 3, padding="same")(inputs))
        x = kl.Add()([x, second(kl.Conv2D(2, 3, padding="same")(inputs))])
        model = keras.Model(inputs, kl.Conv2D(2, 3, name="here")(x))
        assert tfmp.relax(model, first_and_last="search").get_layer("here").signed_input is signed


@keras.saving.register_keras_serializable("relaxed_signs_test")
class Shift(kl.Layer):
    """Has an argument called `activation` which does not come last."""

    def __init__(self, activation="relu", **kwargs):
        super().__init__(**kwargs)
        self.activation = activation

    def call(self, x):
        return keras.activations.get(self.activation)(x) - 1


def test_a_custom_layer_promises_no_sign():
    model = keras.Sequential([keras.Input((4,)), kl.Dense(3), Shift(), kl.Dense(3, name="here"), kl.Dense(2)])
    assert tfmp.relax(model).get_layer("here").signed_input


def test_hwgq_keeps_layers_with_signed_inputs():
    inputs = keras.Input((6, 6, 2))
    x = kl.Conv2D(2, 3, padding="same")(inputs)
    x = kl.Conv2D(2, 3, name="signed")(x)
    x = kl.ReLU()(x)
    model = keras.Model(inputs, kl.Dense(2)(kl.Flatten()(kl.Conv2D(2, 3, name="positive")(x))))
    relaxed = tfmp.relax(model, quantizer="hwgq")
    assert [layer.name for layer in KERAS_3.read(relaxed).searched] == ["positive"]
    assert "negative" in tfmp.inspect(model, quantizer="hwgq")["signed"].reason
    both = tfmp.relax(model, quantizer=("hwgq", "lsq"))
    assert [layer.name for layer in KERAS_3.read(both).searched] == ["signed", "positive"]
