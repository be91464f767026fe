"""Kinds of layers and of integer operations that the library does not know, added without changing it."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from ai_edge_litert import schema_py_generated as schema

import tfmp
from tests.transform.fold_models import check_file, randomized, samples
from tfmp.bindings.framework import framework_of
from tfmp.operators import MOVES, OPERATIONS, TABLE, OperationKind, Operator, operator_table, register
from tfmp.operators.elementwise import multiplied
from tfmp.operators.integer_builder import Codes
from tfmp.operators.operator import always, as_inputs, given
from tfmp.operators.writing import Options


@keras.saving.register_keras_serializable("operator_from_outside_test")
class Larger(keras.layers.Layer):
    def call(self, inputs):
        return keras.ops.maximum(*inputs)


@tf_keras.saving.register_keras_serializable("operator_from_outside_test")
class Keras2Larger(tf_keras.layers.Layer):
    def call(self, inputs):
        return tf.maximum(*inputs)


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
    return ended(package, inputs, square(name="squared")(x), "squares")


def ended(package, inputs, x, name):
    x = package.layers.Conv2D(5, 1, name="after")(x)
    return package.Model(inputs, package.layers.Dense(3, name="logits")(package.layers.Flatten()(x)), name=name)


@pytest.mark.default_cases("keras")
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
    check_fixed(fixed, model, data, tmp_path)


def check_fixed(fixed, model, data, folder):
    """The file computes what the folded model computes, has the predicted size, and is close to the float model."""
    content = check_file(fixed, data, folder / "model.tflite")
    assert tfmp.cost(fixed, "tflite_bytes") == pytest.approx(len(content), abs=256)
    outputs = [np.asarray(each(data)) for each in (tfmp.fold(fixed), model)]
    assert np.abs(outputs[0] - outputs[1]).mean() < 0.1 * outputs[1].std()
    return content


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


def lower_maximum(lowering, call, codes):
    """The larger of two tensors with the same codes."""
    name, shape = lowering.graph.layer_of(call).name, lowering.shape(call.outputs[0])
    parts = [lowering.demand(source, codes) for source in call.inputs]
    return lowering.builder.add("larger", parts, name, shape, Codes.all_of(codes.grid), layer=name)


def write_maximum(table, operation):
    table.same_grid(operation)
    inputs = [table.index(name) for name in operation.inputs]
    grids = [table.grid(name) for name in operation.inputs]
    reach = max(grid.low for grid in grids), max(grid.high for grid in grids)
    options = Options("MaximumMinimumOptions")
    table.add_operator(operation, "MAXIMUM", inputs, version=2, options=options, reach=reach, keeps_zero_point=True)


MAXIMUM = Operator(
    "larger",
    lower_maximum,
    classes={Larger: given(), Keras2Larger: given()},
    reads=MOVES,
    joins=True,
    non_negative=as_inputs,
    values=lambda inputs, attributes, shape: np.maximum(*inputs),
    channels="merged",
)
OF_CODES = OperationKind("larger", write_maximum, compute=lambda tensors, operation: tf.maximum(*tensors))


@pytest.fixture
def maximum():
    register(MAXIMUM)
    register(OF_CODES)
    yield
    del operator_table._table["larger"], operator_table._operations["larger"]


@pytest.mark.default_cases("keras")
@pytest.mark.parametrize(("package", "larger"), [(keras, Larger), (tf_keras, Keras2Larger)], ids=["keras", "tf_keras"])
def test_an_integer_operation_is_written_counted_and_computed(package, larger, maximum, tmp_path):
    package.utils.set_random_seed(0)
    inputs = package.Input((6, 6, 3), name="image")
    x = package.layers.Conv2D(4, 3, name="first")(inputs)
    x = larger(name="larger")([package.layers.Conv2D(4, 1, name=name)(x) for name in ("a", "b")])
    model = randomized(ended(package, inputs, x, "maxout"))
    data = samples(model)
    relaxed = tfmp.relax(model, weight_bits=(4, 8), activation_bits=(4, 8), calibration=data)
    fixed = tfmp.fix(relaxed, {"a": (8, 8), "b": (4, 4), "after": (8, 8)})
    content = check_fixed(fixed, model, data, tmp_path)
    codes = schema.ModelT.InitFromPackedBuf(content, 0).operatorCodes
    assert schema.BuiltinOperator.MAXIMUM in [code.builtinCode for code in codes]
    assert tfmp.cost(fixed, "peak_activation_memory") > 0


@pytest.mark.parametrize(
    ("record", "error", "message"),
    [
        ("square", TypeError, "`record` must be an `Operator` or an `OperationKind`. Received: 'square'"),
        (TABLE["relu"], ValueError, "already an operator of kind 'relu'. Choose another kind, or pass `replace=True`"),
        (OPERATIONS["pad"], ValueError, "already an integer operation of kind 'pad'. Choose another kind, or pass"),
        (dataclasses.replace(OF_CODES, compute=None), ValueError, "Operation `larger`: `compute` must be a function"),
    ],
    ids=["nothing", "operator", "operation", "computation"],
)
def test_what_cannot_be_registered(record, error, message):
    with pytest.raises(error, match=message):
        register(record)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kind": ""}, ValueError, "`kind`"),
        ({"write": "write"}, TypeError, "Operation `x`: `write` must be a function. Received: 'write'"),
        ({"compute": "compute"}, TypeError, "Operation `x`: `compute` must be a function, or None. Received: 'comp"),
    ],
    ids=str,
)
def test_what_no_operation_is(arguments, error, message):
    with pytest.raises(error, match=message):
        OperationKind(**{"kind": "x", "write": write_maximum, **arguments})


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
