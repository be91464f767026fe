"""The names by which the table knows the layers, operations and functions of both Kerases."""

import importlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfmp.operators import TABLE
from tfmp.operators.operator import OTHER
from tfmp.operators.operator_table import (
    activation_name,
    function_names,
    fused_activations,
    fused_clip,
    operator_of_function,
    recognize,
    substitute,
)

# These define layers that Keras has no public place for.
OF_APPLICATIONS = ("keras.src.applications.convnext", "keras.src.applications.inception_resnet_v2")
OF_THE_LIBRARY = {"Quantize", "RangeBatchNormalization"}
PLACES = [keras.layers, tf_keras.layers, *map(importlib.import_module, OF_APPLICATIONS)]
# A public name may be another than that of the class.
CLASSES = {each.__name__ for place in PLACES for each in vars(place).values() if isinstance(each, type)}
NAMES = sorted({name for operator in TABLE.values() for name in operator.classes})


def is_known(name):
    """True for a layer of either Keras, an operation of Keras 3 or a function of TensorFlow."""
    if name[0].islower() or name.startswith("_"):
        value = tf.Tensor if name.startswith("__operators__") else tf
        name = f"__{name.rpartition('.')[2]}__" if value is tf.Tensor else name
        for part in name.split("."):
            value = getattr(value, part, None)
        return value is not None
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    if name in CLASSES:
        return True
    return hasattr(keras.ops, snake) or hasattr(keras.ops.image, snake)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_that_of_a_layer_or_an_operation(name):
    assert name in OF_THE_LIBRARY or is_known(name)


@pytest.mark.parametrize("name", ["concat", "math.argmax", "math.argmin"])
def test_what_its_call_alone_says_is_unknown_without_the_call(name):
    assert recognize(name, {}) == (OTHER, {})


@pytest.mark.parametrize("name", function_names())
def test_every_function_is_one_of_a_keras(name):
    assert any(hasattr(package.activations, name) for package in (keras, tf_keras))
    operator, attributes = operator_of_function(name)
    assert recognize("Activation", {"activation": name}) == (operator.kind, attributes)


def test_names_that_differ_between_the_kerases():
    differing = {name for operator in TABLE.values() for name in operator.tf_keras_functions}
    assert differing == {"hard_sigmoid"}
    values = [package.activations.hard_sigmoid(tf.constant([1.0])) for package in (keras, tf_keras)]
    for framework, value in zip(("keras", "tf_keras"), values, strict=True):
        attributes = operator_of_function("hard_sigmoid", framework)[1]
        assert attributes["factor"] + attributes["offset"] == pytest.approx(float(value[0]))


def test_activations_that_a_layer_with_a_kernel_applies_itself():
    assert fused_activations() == ("hard_tanh", "linear", "relu", "relu6")
    numbers = tf.constant([-9.0, -1.0, 0.5, 7.0])
    for name in fused_activations():
        np.testing.assert_array_equal(keras.activations.get(name)(numbers), np.clip(numbers, *fused_clip(name)))
    assert fused_clip("hard_sigmoid") is None and fused_clip("custom") is None


SUBSTITUTED = sorted({name for operator in TABLE.values() for name in operator.instead_of})


@pytest.mark.parametrize("name", SUBSTITUTED)
def test_what_is_substituted_is_a_layer_or_an_operation(name):
    assert is_known(name) and hasattr(keras.layers, substitute(name))


def test_composite_kinds_are_not_lowered_themselves():
    split = [operator for operator in TABLE.values() if operator.parts is not None]
    assert split and all(operator.lower is None and operator.kernel is None for operator in split)


@pytest.mark.parametrize("name", ["Unknown", "", object])
def test_what_no_operator_is(name):
    assert recognize(name, {"padding": "same", "units": 3}) == (OTHER, {"padding": "same"})


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (None, "linear"),
        ("relu", "relu"),
        ({"class_name": "function", "config": "relu"}, "relu"),
        ({"class_name": "function", "config": "f", "registered_name": "mine>f"}, "custom"),
        ({"class_name": "ReLU", "config": {}}, "custom"),
        (abs, "custom"),
    ],
)
def test_activation_name(activation, name):
    assert activation_name({"activation": activation}) == name
