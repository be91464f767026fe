"""Every function of one tensor, in the file: against the integer layers, and against its definition."""

import keras
import numpy as np
import pytest
import tf_keras
from keras import activations, layers, ops

import tfmp
from tests.operators.one_operator import SIGNED, UNSIGNED, check_operator, lowered
from tests.transform.fold_models import check_file, randomized, samples
from tfmp.graph import Grid
from tfmp.operators import TABLE, operator_table, register, unary
from tfmp.operators.fold_error import FoldError

SHAPE = (4, 4, 8)
FUNCTIONS = {  # kind to what computes it in Keras, and its attributes
    "selu": (activations.selu, {}),
    "softplus": (ops.softplus, {}),
    "softsign": (layers.Activation("softsign"), {}),
    "mish": (layers.Activation("mish"), {}),
    "exponential": (ops.exp, {}),
    "tanh_shrink": (ops.tanh_shrink, {}),
    "log_sigmoid": (ops.log_sigmoid, {}),
    "sparse_plus": (ops.sparse_plus, {}),
    "cube_root": (ops.cbrt, {}),
    "exp2": (ops.exp2, {}),
    "expm1": (ops.expm1, {}),
    "erf": (ops.erf, {}),
    "sine": (ops.sin, {}),
    "cosine": (ops.cos, {}),
    "arctan": (ops.arctan, {}),
    "floor": (ops.floor, {}),
    "ceil": (ops.ceil, {}),
    "truncate": (ops.trunc, {}),
    "sign": (ops.sign, {}),
    "general_relu": (layers.ReLU(2.0, 0.1, 0.3), {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.3}),
    "elu_alpha": (layers.ELU(0.5), {"alpha": 0.5}),
    "celu": (lambda x: ops.celu(x, 0.7), {"alpha": 0.7}),
    "hard_shrink": (lambda x: ops.hard_shrink(x, 0.25), {"threshold": 0.25}),
    "soft_shrink": (lambda x: ops.soft_shrink(x, 0.25), {"threshold": 0.25}),
    "threshold": (lambda x: ops.threshold(x, 0.5, -1.0), {"threshold": 0.5, "default_value": -1.0}),
    "squareplus": (lambda x: ops.squareplus(x, 3), {"b": 3}),
    "power": (lambda x: x**3, {"exponent": 3.0}),
    "bounded": (lambda x: ops.clip(x, 0.5, 1.5), {"low": 0.5, "high": 1.5}),
    "clip": (lambda x: ops.clip(x, -1.5, 0.75), {"low": -1.5, "high": 0.75}),
    "squared": (ops.square, {}),
    "absolute": (ops.abs, {}),
}
NON_NEGATIVE = {"square_root": (ops.sqrt, {}), "log1p": (ops.log1p, {})}
ALL = {**FUNCTIONS, **NON_NEGATIVE}


def values(kind, x):
    return TABLE[kind].values([x], ALL[kind][1], x.shape)


@pytest.mark.parametrize("kind", ALL)
def test_a_function_is_exact_in_the_file(kind):
    function, grid = ALL[kind][0], UNSIGNED if kind in NON_NEGATIVE else SIGNED
    check_operator(function, lambda x: values(kind, x), [SHAPE], [grid])


@pytest.mark.parametrize("kind", NON_NEGATIVE)
def test_a_definition_is_that_of_keras(kind):  # those of all numbers are in `values_test`
    x = np.linspace(0, 9, 50)
    np.testing.assert_allclose(values(kind, x), ALL[kind][0](x.astype(np.float32)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "meaning"),
    [
        (lambda x: ops.maximum(x, 0.0), lambda x: np.maximum(x, 0)),
        (lambda x: ops.maximum(-0.5, x), lambda x: np.maximum(x, -0.5)),
        (lambda x: ops.minimum(x, 0.25), lambda x: np.minimum(x, 0.25)),
        (lambda x: ops.minimum(ops.maximum(x, 0.25), 2.0), lambda x: np.clip(x, 0.25, 2)),
        (lambda x: ops.power(x, 2), lambda x: x**2),
        (layers.Activation("hard_tanh"), lambda x: np.clip(x, -1, 1)),
        (layers.Activation("sparse_sigmoid"), lambda x: np.clip(x / 2 + 0.5, 0, 1)),
        (layers.Activation(layers.ReLU(1.5)), lambda x: np.clip(x, 0, 1.5)),
        (layers.Activation(layers.ELU(0.5)), lambda x: np.where(x > 0, x, 0.5 * np.expm1(np.minimum(x, 0)))),
    ],
)
def test_another_way_to_write_a_function(function, meaning):
    assert check_operator(function, meaning, [SHAPE]) <= {"depthwise_conv2d", "lookup", "activation"}


@pytest.mark.parametrize("grid", [Grid(1.0, -8, 7), Grid(0.01, 0, 3), Grid(20.0, -128, 127)])
@pytest.mark.parametrize("result", [Grid(0.1, 0, 15), Grid(0.5, -2, 1)])
def test_a_table_of_any_codes(grid, result):
    assert check_operator(ops.softplus, lambda x: np.logaddexp(0, x), [SHAPE], [grid], result=result) == {"lookup"}


def test_functions_of_tf_keras():
    import tensorflow as tf

    functions = [
        (tf.nn.softplus, lambda x: np.logaddexp(0, x)),
        (tf.nn.selu, lambda x: values("selu", x)),
        (tf.exp, np.exp),
        (tf.abs, np.abs),
        (tf.square, np.square),
        (lambda x: tf.clip_by_value(x, -1.0, 2.0), lambda x: np.clip(x, -1, 2)),
        (lambda x: tf.maximum(x, 0.0), lambda x: np.maximum(x, 0)),
        (tf_keras.layers.Activation("mish"), lambda x: values("mish", x)),
        (tf_keras.layers.Activation(tf_keras.layers.ReLU(1.0)), lambda x: np.clip(x, 0, 1)),
    ]
    options = {"package": tf_keras, "quantize": tfmp.keras2.Quantize}
    for function, meaning in functions:
        check_operator(function, meaning, [SHAPE], **options)


@pytest.mark.parametrize("function", [ops.sqrt, ops.log1p])
def test_a_function_without_a_value_for_a_code(function):
    with pytest.raises(FoldError, match="has no value at -.*, where its input is quantized. Put a ReLU before it"):
        lowered(function, [SHAPE], [SIGNED])


@pytest.mark.parametrize("function", [ops.sqrt, ops.log1p])
def test_it_is_refused_before_training_unless_a_relu_is_before_it(function):
    x = inputs = keras.Input((6,), name="numbers")
    for name in ("first", "second"):
        x = layers.Dense(6, name=name)(x)
    models = [keras.Model(inputs, layers.Dense(3, name="last")(function(y))) for y in (x, layers.ReLU()(x))]
    assert [tfmp.inspect(model).exports["fast"].answer for model in models] == ["no", "yes"]


@keras.saving.register_keras_serializable("unary_functions_test")
def softcap(x):
    return 2 * ops.tanh(x / 2)


def test_a_function_of_users_is_searched_around_and_exported(tmp_path):
    register(unary("softcap", lambda x: 2 * np.tanh(x / 2)))
    tfmp.register_layer(softcap, "softcap")
    x = inputs = keras.Input((6, 6, 3), name="image")
    x = layers.Conv2D(4, 3, activation="softplus", name="first")(x)
    x = layers.Conv2D(4, 1, activation=softcap, name="before")(x)
    x = layers.Conv2D(5, 1, activation=layers.ReLU(1.0), name="after")(x)
    model = randomized(keras.Model(inputs, layers.Dense(3, name="logits")(layers.Flatten()(x)), name="caps"))
    data = samples(model)
    relaxed = tfmp.relax(model, weight_bits=(4, 8), activation_bits=(4, 8), calibration=data)
    assert not any(row.blocks for row in tfmp.inspect(relaxed).rows)
    fixed = tfmp.fix(relaxed, {"before": (8, 8), "after": (4, 8)})
    for mode in ("fast", "small"):
        content = check_file(fixed, data, tmp_path / f"{mode}.tflite")
        assert tfmp.cost(fixed, "tflite_bytes") == pytest.approx(len(content), abs=256)
    np.testing.assert_allclose(tfmp.fold(fixed)(data), model(data), atol=0.5 * np.std(model(data)))
    del operator_table._table["softcap"]
