"""A kind of layer that the library does not know, added without changing it, from Keras to the file."""

import dataclasses

import keras
import numpy as np
import pytest
import tf_keras

import tfmp
from tests.transform.fold_models import check_file, randomized, samples
from tfmp.bindings.framework import framework_of
from tfmp.operators import TABLE, Operator, operator_table, register
from tfmp.operators.elementwise import multiplied
from tfmp.operators.operator import always, given


@keras.saving.register_keras_serializable("operator_from_outside_test")
class Square(keras.layers.Layer):
    def call(self, x):
        return x * x


@tf_keras.saving.register_keras_serializable("operator_from_outside_test")
class Keras2Square(tf_keras.layers.Layer):
    def call(self, x):
        return x * x


def lower_square(lowering, call, codes):
    """The product of a stored tensor with itself."""
    layer = lowering.graph.layer_of(call)
    stored = lowering.stored(call.inputs[0], layer.name)
    return multiplied(lowering, (stored, stored), layer.name, call.outputs[0], codes)


SQUARE = Operator(
    "square",
    lower_square,
    classes={Square: given(), Keras2Square: given()},
    non_negative=always,
    each_value=True,
    order_free=True,
    values=lambda inputs, attributes, shape: inputs[0] ** 2,
)


@pytest.fixture
def known():
    register(SQUARE)
    yield
    del operator_table._table["square"]


def network(package, square):
    inputs = package.Input((6, 6, 3), name="image")
    x = package.layers.Conv2D(4, 3, name="first")(inputs)
    x = package.layers.Conv2D(4, 1, name="before")(x)
    x = package.layers.Conv2D(5, 1, name="after")(square(name="squared")(x))
    return package.Model(inputs, package.layers.Dense(3, name="logits")(package.layers.Flatten()(x)), name="squares")


@pytest.mark.parametrize(("package", "square"), [(keras, Square), (tf_keras, Keras2Square)], ids=["keras", "tf_keras"])
def test_it_is_searched_around_fixed_exported_and_equal_to_the_folded_model(package, square, known, tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(network(package, square))
    data = samples(model)
    (row,) = (row for row in tfmp.inspect(model).rows if row.name == "squared")
    assert (row.kind, row.status, row.blocks) == ("square", "follows", ())
    relaxed = tfmp.relax(model, weight_bits=(4, 8), activation_bits=(4, 8), calibration=data)
    searched = {layer.name: layer for layer in framework_of(relaxed).read(relaxed).searched}
    assert set(searched) == {"before", "after"}
    assert not searched["after"].activation.signed
    fixed = tfmp.fix(relaxed, {"before": (8, 8), "after": (4, 8)})
    content = check_file(fixed, data, tmp_path / "model.tflite")
    assert tfmp.cost(fixed, "tflite_bytes") == pytest.approx(len(content), abs=256)
    outputs = [np.asarray(each(data)) for each in (tfmp.fold(fixed), model)]
    assert np.abs(outputs[0] - outputs[1]).mean() < 0.1 * outputs[1].std()


def test_without_it_the_layer_stays_in_floating_point():
    (row,) = (row for row in tfmp.inspect(network(keras, Square)).rows if row.name == "squared")
    assert (row.kind, row.status) == ("other", "float")


def test_a_layer_of_users_can_be_registered_as_one(known):
    class Other(keras.layers.Layer):
        def call(self, x):
            return keras.ops.square(x)

    tfmp.register_layer(Other, "square")
    assert {row.name: row.kind for row in tfmp.inspect(network(keras, Other)).rows}["squared"] == "square"


@pytest.mark.usefixtures("known")
def test_a_class_that_computes_something_else_is_an_error():
    class Cube(keras.layers.Layer):
        def call(self, x):
            return x * x * x

    register(dataclasses.replace(SQUARE, classes={Cube: given()}), replace=True)
    with pytest.raises(ValueError, match=r"Layer `squared` \(Cube\) is registered as 'square', but computes something"):
        tfmp.inspect(network(keras, Cube))


@pytest.mark.parametrize(
    ("operator", "error", "message"),
    [
        ("square", TypeError, "`operator` must be an `Operator`. Received: 'square'"),
        (TABLE["relu"], ValueError, "already an operator of kind 'relu'. Choose another kind, or pass `replace=True`"),
    ],
)
def test_what_cannot_be_registered(operator, error, message):
    with pytest.raises(error, match=message):
        register(operator)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kind": ""}, ValueError, "`kind`"),
        ({"kind": "other"}, ValueError, "`kind` must not be 'other', the kind of layers without an operator"),
        ({"reads": "codes"}, ValueError, "Operator `x`.*`reads` must be one of 'moves', 'stored', .*Received: 'codes'"),
        ({"classes": [Square]}, TypeError, "Operator `x`.*`classes` must be a mapping"),
        ({"lower": "lower"}, TypeError, "Operator `x`.*`lower` must be a function, or None. Received: 'lower'"),
    ],
    ids=str,
)
def test_what_no_operator_is(arguments, error, message):
    with pytest.raises(error, match=message):
        Operator(**{"kind": "x", **arguments})
