"""Layers of the user's own, registered as in docs/layers.md."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from keras import layers as kl

import tfmp
from tfmp.bindings import custom_layers
from tfmp.operators import TABLE, operator_table

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "layers.md"


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(custom_layers, "_registered", {})
    yield
    for kind in ("square", "softcap"):  # which the page adds
        operator_table._table.pop(kind, None)


def clipped():
    """The class of the page, registered as there."""
    names = {"keras": keras, "np": np, "tfmp": tfmp}
    for program in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(program, names)
    assert names["squash"] in custom_layers._registered
    assert names["Square"] in TABLE["square"].classes and names["softcap"] in custom_layers._registered
    return names["Clipped"]


def around(layer):
    x = image = keras.Input((6, 6, 3), name="image")
    x = kl.Conv2D(4, 3, name="first")(x)
    x = kl.Conv2D(4, 1, name="second")(layer(x))
    return keras.Model(image, kl.Dense(3, name="last")(kl.Flatten()(x)))


def data():
    return np.random.default_rng(0).normal(size=(16, 6, 6, 3)).astype(np.float32)


def test_the_page_runs_as_printed():
    own = clipped()
    arguments = {"weight_bits": 8, "activation_bits": 8, "calibration": data()}
    keras.utils.set_random_seed(0)
    model = around(own(0.5, name="own"))
    like_keras = around(kl.ReLU(0.5, name="own"))
    like_keras.set_weights(model.get_weights())
    assert {row.name: row.kind for row in tfmp.inspect(model).rows}["own"] == "relu"
    found, expected = (tfmp.fold(tfmp.relax(each, **arguments))(data()) for each in (model, like_keras))
    np.testing.assert_array_equal(found, expected)


def test_a_class_that_nobody_registered_runs_in_floating_point_and_says_so():
    own = clipped()
    custom_layers._registered.clear()
    model = around(own(0.5, name="own"))
    with pytest.warns(UserWarning, match="`own`"):
        relaxed = tfmp.relax(model, weight_bits=8, activation_bits=8, calibration=data())
    assert tfmp.inspect(relaxed).exports["fast"].answer == "yes"
    assert tfmp.fold(relaxed)(data()).shape == relaxed(data()).shape
    with pytest.raises(ValueError, match="`own` is a `Clipped`, which has no integer form"):
        tfmp.relax(model, weight_bits=8, activation_bits=8, integer_only=True)


class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def test_an_affine_layer_is_folded_into_the_convolution_before_it():
    tfmp.register_layer(Twice, "affine", lambda config: {"factor": 2.0, "offset": 0.0})
    model = around(Twice(name="twice"))
    relaxed = tfmp.relax(model, weight_bits=8, activation_bits=8, calibration=data())
    assert [layer.name for layer in relaxed.layers if "quantizer" in layer.name] == ["last_quantizer"]
    scale = np.ptp(model(data()))
    assert np.abs(tfmp.fold(relaxed)(data()) - model(data())).max() < 0.1 * scale


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((Twice(), "relu"), TypeError, "`layer` must be a class, a .*Received: <Twice .* give the class"),
        ((None, "relu"), TypeError, "`layer` must be a class, a function or the name of a function. Received: None"),
        ((Twice, "double"), ValueError, "`kind` must be one of 'relu', 'clip', .*Received: 'double'"),
        ((Twice, "conv2d"), ValueError, "`kind` must be one of"),
        ((Twice, "affine"), ValueError, "'affine' needs factor, offset. Give `attributes`"),
        ((Twice, "affine", {"factor": 2.0}), ValueError, "'affine' must hold factor, offset. Received: factor"),
        ((Twice, "relu", "max_value"), TypeError, "`attributes` must be a dict, or a function"),
        *(
            (
                (layer_class, "swish"),
                ValueError,
                "must be your own class: .* Register the function",
            )
            for layer_class in (
                *(kl.Activation, kl.Lambda, kl.ReLU, kl.Conv2D, kl.Layer, tfmp.layers.Quantize),
                *(tf_keras.layers.Activation, tf_keras.layers.Lambda, tf_keras.layers.Softmax),
                type(tf.nn.softsign(tf_keras.Input((3,))).node.layer),
            )
        ),
    ],
    ids=str,
)
def test_what_cannot_be_registered(arguments, error, message):
    with pytest.raises(error, match=message):
        tfmp.register_layer(*arguments)


def test_attributes_that_lack_something():
    tfmp.register_layer(Twice, "affine", lambda config: {"factor": 2.0})
    with pytest.raises(
        ValueError, match=r"`twice` \(Twice\) is registered as 'affine', which needs factor, offset. Received: factor"
    ):
        tfmp.inspect(around(Twice(name="twice")))


@pytest.mark.parametrize("attributes", [lambda config: {"max_value": config["limit"]}, lambda config: None])
def test_attributes_that_fail(attributes):
    tfmp.register_layer(Twice, "relu", attributes)
    with pytest.raises(ValueError, match=r"`twice` \(Twice\) .* function that fails: .*configuration, which has "):
        tfmp.inspect(around(Twice(name="twice")))


def test_every_kind_that_can_be_registered_is_on_the_page():
    text = PAGE.read_text(encoding="utf-8")
    named = re.findall(
        r"^\| ((?:`\w+`(?: \(0 to 1\))?,? ?)+) \| (.*) \|$", text.partition("| Needs |")[2], flags=re.MULTILINE
    )
    shown = {kind: need for row, need in named for kind in re.findall(r"`(\w+)`", row)}
    registrable = {kind: operator for kind, operator in TABLE.items() if operator.values is not None}
    assert shown.keys() == registrable.keys()
    for kind, operator in registrable.items():
        assert operator.lower is not None
        assert all(f"`{name}`" in shown[kind] for name in operator.needed), kind
