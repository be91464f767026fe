"""The layers of tf_keras against those of Keras 3, which `tests/layers` holds against float64 references."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.layers.searchable_layers import CASES, EACH_CLASS, inputs_of, randomize, searchable
from tfmp import keras2
from tfmp.bindings.keras2.keras2_framework import Keras2Framework
from tfmp.bindings.layer_variables import assign_weights

KERAS_2 = Keras2Framework()

ALTERNATIVES = [
    {"quantizer": "lsq", "shared_range": False, "signed_input": True},
    {"quantizer": "hwgq", "relaxation": "annealed"},
    {"quantizer": ("linear", "moving_range"), "weight_bits": (2, 8)},
    {"relaxation": "gumbel", "seed": 3},
    {"weight_bits": (1,), "activation_bits": (1,)},
]


def twin(case, original, **options):
    """The layer of tf_keras with the arguments and the variables of one of Keras 3."""
    class_name, arguments, input_shape = CASES[case]
    layer = getattr(keras2, f"MixedPrecision{class_name}")(**arguments, **options, name=original.name)
    layer.build((None, *input_shape))
    values = {path: np.asarray(variable) for path, variable in paths_of(original).items()}
    assert KERAS_2.variables_by_path(layer).keys() == values.keys()
    assign_weights(KERAS_2, layer, values)
    return layer


def paths_of(layer):
    return {v.path.removeprefix(f"{layer.name}/"): v for v in layer.variables}


def step(layer, x, variables):
    """Outputs, losses and gradients of a training step."""
    with tf.GradientTape() as tape:
        outputs = layer(x, training=True)
        probe = np.random.default_rng(2).normal(size=outputs.shape).astype(np.float32)
        loss = tf.reduce_sum(outputs * probe) + tf.reduce_sum(layer.losses)
    return outputs, tf.reduce_sum(layer.losses), tape.gradient(loss, variables)


@pytest.mark.default_cases(
    "conv2d_groups-{}",
    "depthwise_multiplied-{}",
    "transposed_padded-{}",
    "depthwise1d-{}",
    "conv1d_causal-{}",
    "dense-*",
)
@pytest.mark.parametrize(
    ("case", "options"),
    [*((case, {}) for case in CASES), *((case, options) for case in EACH_CLASS for options in ALTERNATIVES)],
    ids=str,
)
def test_a_training_step_is_that_of_keras_3(case, options):
    options = {"weight_bits": (1, 2, 4), "activation_bits": (1, 3, 8), **options}
    if options.get("quantizer") == ("linear", "moving_range"):
        options["activation_bits"] = (2, 8)
    one = randomize(searchable(case, **options))
    price = np.random.default_rng(3).uniform(
        size=[len(options[f"{tensor}_bits"]) for tensor in ("weight", "activation")]
    )
    if one.selection_cost is not None:
        one.selection_cost.set_price(price)
    two = twin(case, one, **options)
    x = tf.constant(inputs_of(case, signed=options.get("signed_input", False)))
    for _ in range(2):
        found = step(two, x, {path: v for path, v in KERAS_2.variables_by_path(two).items() if v.trainable})
        expected = step(one, x, {path: v.value for path, v in paths_of(one).items() if v.trainable})
        assert found[2].keys() == expected[2].keys()
        for name, gradient in expected[2].items():
            np.testing.assert_allclose(found[2][name], gradient, rtol=1e-4, atol=1e-5, err_msg=name)
        for actual, wanted in zip(found[:2], expected[:2], strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)
    for path, variable in paths_of(one).items():
        np.testing.assert_allclose(KERAS_2.variables_by_path(two)[path], variable, rtol=1e-5, atol=1e-6, err_msg=path)
    np.testing.assert_allclose(two(x), one(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_without_bits_it_is_the_plain_layer(case):
    class_name, arguments, input_shape = CASES[case]
    layer = getattr(keras2, f"MixedPrecision{class_name}")(**arguments, weight_bits=None, activation_bits=None)
    plain = getattr(tf_keras.layers, class_name)(**arguments)
    for one in (layer, plain):
        one.build((None, *input_shape))
    plain.set_weights(layer.get_weights())
    x = inputs_of(case, signed=True)
    np.testing.assert_allclose(layer(x), plain(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(layer.losses), tf.reduce_sum(plain.losses), rtol=1e-6)


@pytest.mark.parametrize("case", EACH_CLASS)
def test_config_round_trip(case):
    class_name, arguments, _ = CASES[case]
    options = {"weight_bits": (4, 2), "quantizer": ("hwgq", "lsq"), "relaxation": "gumbel", "num_calls": 2, "seed": 7}
    layer = getattr(keras2, f"MixedPrecision{class_name}")(**arguments, **options, name="here")
    again = tf_keras.saving.deserialize_keras_object(tf_keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer) and again.get_config() == layer.get_config()
    assert again.weight_bits == (2, 4) and again.quantizer == ("hwgq", "lsq")
    plain = getattr(tf_keras.layers, class_name)(**arguments, name="here").get_config()
    assert {key: layer.get_config()[key] for key in plain} == plain


@pytest.mark.default_cases("transposed", "dense")
@pytest.mark.parametrize("case", EACH_CLASS)
def test_mixed_float16_quantizes_in_full_precision(case):
    class_name, arguments, input_shape = CASES[case]
    options = {"weight_bits": (2, 8), "activation_bits": (2, 4), "dtype": "mixed_float16"}
    layer = getattr(keras2, f"MixedPrecision{class_name}")(**arguments, **options)
    model = tf_keras.Sequential([tf_keras.Input(input_shape), layer])
    assert layer.compute_dtype == "float16" and all(v.dtype == tf.float32 for v in layer.variables)
    outputs = layer(inputs_of(case).astype(np.float16), training=True)
    assert outputs.dtype == tf.float16
    model.compile("sgd", "mse", run_eagerly=True)
    history = model.fit(inputs_of(case), np.zeros(outputs.shape), verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_a_model_without_an_input_is_built_by_its_first_batch():
    layer = keras2.MixedPrecisionDense(3, weight_bits=(2,), activation_bits=(4,))
    model = tf_keras.Sequential([layer])
    model.compile(tf_keras.optimizers.SGD(1e-9), "mse")
    model.fit(np.random.rand(4, 6), np.zeros((4, 3)), verbose=0)
    kernel = np.asarray(layer.kernel, np.float64)
    expected = layer.weight_selector.quantizers[0].least_squares_state(kernel, channel_axes=(-1,))["step"]
    np.testing.assert_allclose(KERAS_2.variables_by_path(layer)["weight_selector/step"], expected, rtol=1e-5)


SAVED = """
import sys
import tf_keras, tfmp
import numpy as np
x, y = (np.load(f"{sys.argv[1]}/{name}.npy") for name in "xy")
for name in sys.argv[2:]:
    model = tf_keras.models.load_model(f"{sys.argv[1]}/{name}")
    assert type(model.get_layer("conv")).__module__ == "tfmp.bindings.keras2.layers", name
    np.testing.assert_allclose(model.predict(x, verbose=0), y, rtol=1e-5, atol=1e-6)
    assert type(model.optimizer).__name__ == "SelectionOptimizer"
print("reloaded")
"""


@pytest.mark.slow
@pytest.mark.parametrize("formats", [("model.keras", "model.h5"), ("saved_model",)], ids=" ".join)
def test_saved_files_load_in_a_fresh_process(formats, tmp_path):
    """`import tfmp` registers the classes where tf_keras is loaded."""
    tf_keras.utils.set_random_seed(0)
    x = inputs = tf_keras.Input((4, 4, 2))
    options = {"weight_bits": (1, 2, 4), "relaxation": "gumbel", "coupled": True, "shared_weights": False}
    x = keras2.MixedPrecisionConv2D(4, 3, quantizer=("hwgq", "lsq"), name="conv", **options)(x)
    x = tf_keras.layers.Flatten()(keras2.Quantize(8)(x))
    model = tf_keras.Model(inputs, keras2.MixedPrecisionDense(3, shared_range=False)(x))
    model.compile(keras2.SelectionOptimizer("sgd", "adam"), "mse", run_eagerly=True)
    x = np.random.default_rng(0).uniform(size=(4, 4, 4, 2)).astype(np.float32)
    model.fit(x, np.zeros((4, 3)), epochs=2, verbose=0)
    for name in formats:
        model.save(tmp_path / name)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", model.predict(x, verbose=0))
    program = [sys.executable, "-c", SAVED, str(tmp_path), *formats]
    result = subprocess.run(program, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert result.stdout.endswith("reloaded\n"), result.stderr[-2000:]
