"""Integers and Booleans as inputs, inside and as outputs of a network, from the model to the file."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
from tfmp.bindings.framework import framework_of
from tfmp.lowering.signature_names import signature_outputs
from tfmp.tflite.interpreter import Interpreter

pytestmark = pytest.mark.usefixtures("eagerly")
CAST = {keras: keras.ops.cast, tf_keras: tf.cast}
ARGMAX = {
    keras: lambda x: keras.ops.argmax(x, axis=-1),
    tf_keras: lambda x: tf.argmax(x, axis=-1, output_type=tf.int32),
}


def dense(framework, name, units=6, **options):
    return framework.layers.Dense(units, name=name, **options)


def as_input(framework, dtype):
    if dtype == "uint8":
        inputs = framework.Input((6, 6, 2), dtype=dtype, name="x")
        x = framework.layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(inputs)
        x = framework.layers.Conv2D(4, 3, activation="relu", name="first")(x)
        x = framework.layers.Flatten(name="flat")(x)
    else:
        inputs = framework.Input((8,), dtype=dtype, name="x")
        x = dense(framework, "first", activation="relu")(CAST[framework](inputs, "float32"))
    return inputs, dense(framework, "head", 3)(dense(framework, "second", activation="relu")(x))


def inside(framework, dtype):
    inputs = framework.Input((8,), name="x")
    x = dense(framework, "first", activation="relu")(inputs)
    if dtype == "uint8":
        mask = CAST[framework](CAST[framework](x * 3.0, "uint8"), "float32")
    elif dtype == "int32":
        rows = framework.layers.Reshape((3, 2), name="rows")(x)
        mask = CAST[framework](ARGMAX[framework](rows), "float32")
        x = framework.layers.Concatenate(name="joined")([x, mask])
        mask = CAST[framework](x > 0.1, "float32")
    else:
        mask = CAST[framework]((x > 0.1) & (x < 2.0), "float32")
    x = framework.layers.Multiply(name="masked")([x, mask])
    return inputs, dense(framework, "head", 3)(dense(framework, "second", activation="relu")(x))


def as_output(framework, dtype):
    inputs = framework.Input((8,), name="x")
    x = dense(framework, "second", activation="relu")(dense(framework, "first", activation="relu")(inputs))
    p = dense(framework, "head", 3, activation="softmax")(x)
    found = {"uint8": lambda: CAST[framework](p * 255.0, "uint8"), "int32": lambda: ARGMAX[framework](p)}
    return inputs, [p, found.get(dtype, lambda: p > 0.4)()]


PLACES = (as_input, inside, as_output)
CELLS = [
    pytest.param((framework, dtype, place), id=f"{framework.__name__}-{dtype}-{place.__name__}", marks=marks)
    for framework in (keras, tf_keras)
    for dtype in ("uint8", "int32", "bool")
    for place in PLACES
    for marks in ([pytest.mark.slow] if framework is tf_keras and (dtype, place) != ("int32", inside) else [],)
]


@pytest.fixture(params=CELLS)
def cell(request):
    framework, dtype, place = request.param
    framework.utils.set_random_seed(0)
    model = framework.Model(*place(framework, dtype))
    rng = np.random.default_rng(0)
    shape = (24, *model.inputs[0].shape[1:])
    if place is as_input:
        x = rng.integers(0, {"uint8": 256, "int32": 9, "bool": 2}[dtype], shape).astype(dtype)
    else:
        x = rng.normal(size=shape).astype(np.float32)
    return framework, model, x


@pytest.mark.default_cases(
    "keras-uint8-as_input", "keras-int32-inside", "keras-bool-as_output", "tf_keras-int32-as_output"
)
def test_integers_and_booleans_are_left_alone(cell, tmp_path):
    framework, model, x = cell
    outputs = model.outputs
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(3, 4), calibration=x)
    graph = framework_of(relaxed).read(relaxed)
    for call in graph.calls:
        if graph.layer_of(call).kind == "quantize":
            assert graph.tensors[call.inputs[0]].is_float
    relaxed.compile("sgd", loss="mse" if len(outputs) == 1 else ["mse", None])
    y = np.zeros((24, 3), np.float32)
    relaxed.fit(x, y if len(outputs) == 1 else [y, y], verbose=0)
    fixed = tfmp.fix(relaxed, {"second": (4, 4)}, calibration=x)
    assert tfmp.cost(fixed, "peak_activation_memory") > 0 and tfmp.cost(model, "tflite_bytes") > 0
    expected, names = tf.nest.flatten(fixed(x)), signature_outputs(framework_of(fixed).read(fixed, weights=False))
    assert [tensor.dtype for tensor in expected] == [tf.as_dtype(tensor.dtype) for tensor in outputs]
    for mode in ("fast", "small", "float"):
        path = tmp_path / f"{mode}.tflite"
        tfmp.export_tflite(fixed, path, mode=mode, verify=None if mode == "small" else x)
        foreseen = tfmp.costs.TFLiteBytes(mode) if mode != "float" else None
        assert foreseen is None or abs(tfmp.cost(fixed, foreseen) - path.stat().st_size) < 1024
        interpreter = Interpreter(path)
        assert [tensor.dtype for tensor in interpreter.inputs.values()] == [x.dtype.name]
        results = interpreter.run(x)
        found = [results[name] for name in names]
        reference = fixed(x) if mode == "float" else tfmp.fold(fixed, mode=mode)(x)
        reference = [reference[n] for n in names] if isinstance(reference, dict) else tf.nest.flatten(reference)
        for values, wanted, output in zip(found, reference, outputs, strict=True):
            assert values.dtype == tf.as_dtype(output.dtype).as_numpy_dtype
            close = dict(rtol=1e-5, atol=1e-5) if mode == "float" else {"atol": 1 / 256}
            np.testing.assert_allclose(values.astype(float), np.asarray(wanted, float), **close)
        for values, wanted in zip(found, expected, strict=True):
            if values.dtype == np.float32:
                assert np.corrcoef(values.ravel(), np.asarray(wanted).ravel())[0, 1] > 0.95
            else:
                assert np.mean(np.abs(values.astype(float) - np.asarray(wanted, float)) <= 1) > 0.9


def small(middle, dtype="float32", shape=(8,)):
    inputs = keras.Input(shape, dtype=dtype, name="x")
    x = dense(keras, "second", activation="relu")(dense(keras, "first", activation="relu")(middle(inputs)))
    return inputs, dense(keras, "head", 3)(x)


def fixed_from(model, x):
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(3, 4), calibration=x)
    return relaxed, tfmp.fix(relaxed, {"second": (4, 4)}, calibration=x)


def test_a_classifier_that_returns_the_class_alone(tmp_path):
    inputs, scores = small(lambda x: x * keras.ops.cast(keras.ops.logical_and(x > -1.0, x), "float32"))
    model = keras.Model(inputs, keras.ops.argmax(scores, axis=-1))
    x = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    relaxed, fixed = fixed_from(model, x)
    budget = tfmp.Budget("bitops", like_uniform=(3, 3))
    recorded = tfmp.assign.by_sensitivity(relaxed, x, budget).provenance["sensitivity"]["second"]
    assert 0 <= max(recorded["weights"]) <= 1, "the share of samples of another class"
    for mode in ("fast", "small", "float"):
        path = tmp_path / f"{mode}.tflite"
        tfmp.export_tflite(fixed, path, mode=mode, verify=x)
        (classes,) = Interpreter(path).run(x).values()
        assert classes.shape == (64,) and np.mean(classes == np.asarray(fixed(x))) > 0.9


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_integers_that_are_rescaled(dtype, tmp_path):
    inputs, scores = small(keras.layers.Rescaling(0.01, offset=0.1, name="rescaling"), dtype)
    x = np.random.default_rng(0).integers(-100, 100, (32, 8)).astype(dtype)
    _, fixed = fixed_from(keras.Model(inputs, scores), x)
    assert any("quantizer" in layer.name and layer.name[0] == "x" for layer in fixed.layers) == (dtype != "int8")
    tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=x)
    (found,) = Interpreter(tmp_path / "model.tflite").run(x).values()
    assert np.corrcoef(found.ravel(), np.asarray(fixed(x)).ravel())[0, 1] > 0.99


def test_a_file_takes_whole_numbers_of_any_type_for_a_stored_image(tmp_path):
    inputs, scores = small(keras.layers.Rescaling(1 / 255, name="rescaling"), "uint8")
    x = np.random.default_rng(0).integers(0, 256, (16, 8))
    _, fixed = fixed_from(keras.Model(inputs, scores), x.astype("uint8"))
    tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=x)
    interpreter = Interpreter(tmp_path / "model.tflite")
    assert interpreter.inputs["x"].in_words == "uint8: value = (code - 0) * 1"
    results = [interpreter.run(x.astype(dtype)) for dtype in ("uint8", "int64", "float32")]
    for result in results[1:]:
        np.testing.assert_equal(result, results[0])
    with pytest.raises(ValueError, match="uint8 codes"):
        interpreter.run(x + 0.5)


def test_arithmetic_with_integers_is_refused_by_name():
    inputs, scores = small(lambda x: keras.ops.cast(x + 1, "float32"), "int32")
    x = np.random.default_rng(0).integers(0, 9, (16, 8)).astype("int32")
    relaxed, fixed = fixed_from(keras.Model(inputs, scores), x)
    np.testing.assert_array_equal(relaxed(x).shape, (16, 3))
    with pytest.raises(ValueError, match='`add.*` computes int32.*mode="float"'):
        tfmp.fold(fixed)
