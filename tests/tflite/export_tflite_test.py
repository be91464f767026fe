"""Exported files: what they hold, what is refused, and that a failed export leaves the disk as it was."""

import importlib
import json
import os
import signal
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from keras import layers

import tfmp
from tests.transform.fold_models import UNTRAINED, fixed_model, normalized, randomized, samples, several
from tfmp.bindings.framework import Framework
from tfmp.tflite.interpreter import Interpreter
from tfmp.transform.calibration.calibrate import reestimate_normalization

# The function of the same name hides the module.
export = importlib.import_module("tfmp.tflite.export_tflite")
PAIRS = [(2, 4), (4, 2), (1, 3), (3, 8)]


@pytest.fixture(scope="module")
def data():
    return samples(normalized())


@pytest.fixture(scope="module")
def fixed(data):
    keras.utils.set_random_seed(0)
    return fixed_model(randomized(normalized()), PAIRS, data)


def metadata(path):
    content = path.read_bytes()
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    (entry,) = [entry for entry in model.metadata if entry.name == b"tfmp"]
    return json.loads(bytes(model.buffers[entry.buffer].data))


def test_report_and_metadata_tell_what_the_file_is(fixed, data, tmp_path):
    path = tmp_path / "model.tflite"
    report = tfmp.export_tflite(fixed, path, verify=data)
    assert report.path == str(path) and report.size_bytes == path.stat().st_size and report.mode == "fast"
    expected = {
        layer.name: (layer.weight_bits[0], layer.activation_bits[0])
        for layer in fixed.layers
        if isinstance(layer, tfmp.layers.MixedPrecisionConv2D | tfmp.layers.MixedPrecisionDense)
        or isinstance(layer, tfmp.layers.MixedPrecisionDepthwiseConv2D)
    }
    assert report.bits == expected and expected["deep"] == PAIRS[0] and expected["first"] == (8, 8)
    assert metadata(path) == {
        "tfmp": tfmp.__version__,
        "mode": "fast",
        "bits": {name: list(pair) for name, pair in expected.items()},
        "inputs": {"image": "float32"},
        "outputs": {"logits": "float32"},
    }
    assert {operator.layer for operator in report.operators} >= set(expected)
    assert report.operators[0].kind == "quantize" and report.outside_xnnpack == ()
    for part in ("model.tflite", "compute every code", "1 bits as INT8 in 1", "trained model"):
        assert part in str(report)
    assert tfmp.compare_tflite(fixed, path, data) == report


def test_export_without_verification(fixed, data, tmp_path):
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite")
    assert report.operators == () and report.trained is None and "not verified" in str(report)
    found = Interpreter(tmp_path / "model.tflite").run(data)["logits"]
    np.testing.assert_array_equal(found, tfmp.fold(fixed)(data))


def test_the_same_model_gives_the_same_bytes(fixed, tmp_path):
    for name in ("a", "b"):
        tfmp.export_tflite(fixed, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_batch_size(fixed, data, tmp_path):
    expected = np.asarray(tfmp.fold(fixed)(data))
    for batch_size in (1, 7):
        path = str(tmp_path / f"{batch_size}.tflite")
        tfmp.export_tflite(fixed, path, batch_size=batch_size, verify=data)
        interpreter = Interpreter(path)
        assert interpreter.batch_size == batch_size and interpreter.inputs["image"].shape == (batch_size, 8, 8, 3)
        np.testing.assert_array_equal(interpreter.run({"image": data})["logits"], expected)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_integer_doors(dtype, fixed, data, tmp_path):
    path = tmp_path / "model.tflite"
    report = tfmp.export_tflite(fixed, path, input_type=dtype, output_type=dtype, verify=data, batch_size=3)
    assert report.folded.equal_share == 1 and report.size_bytes == path.stat().st_size
    interpreter = Interpreter(path)
    door, exit = interpreter.inputs["image"], interpreter.outputs["logits"]
    assert door.dtype == exit.dtype == dtype
    limits = np.iinfo(dtype)
    stored = np.clip(np.rint(data * (np.float32(1) / np.float32(door.scale))) + door.zero_point, limits.min, limits.max)
    assert metadata(path)["inputs"] == {"image": door.in_words} and f"{dtype}: value = (code" in door.in_words
    found = interpreter.run(stored.astype(dtype))["logits"]
    values = (found.astype(np.float32) - exit.zero_point) * np.float32(exit.scale)
    np.testing.assert_array_equal(values, tfmp.fold(fixed)(data))


@pytest.mark.parametrize("form", ["array", "list", "dict", "dataset", "labelled dataset"])
def test_forms_of_verification_data(form, fixed, data, tmp_path):
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(8)
    verify = {
        "array": data,
        "list": [data],
        "dict": {"image": data},
        "dataset": dataset,
        "labelled dataset": dataset.map(lambda image: (image, 0)),
    }[form]
    assert tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=verify).folded.equal_share == 1


def test_several_inputs_and_outputs_go_by_name(tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(several())
    data = samples(model)
    fixed = fixed_model(model, PAIRS, data)
    tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=data)
    interpreter = Interpreter(tmp_path / "model.tflite")
    assert set(interpreter.inputs) == {"one", "two"} and set(interpreter.outputs) == {"kind", "map"}
    found, expected = interpreter.run(data), tfmp.fold(fixed)(data)
    np.testing.assert_array_equal(found["map"], expected["map"])
    np.testing.assert_allclose(found["kind"], expected["kind"], atol=1 / 256)
    by_tensor = {"left": data["one"], "right": data["two"]}
    assert tfmp.export_tflite(fixed, tmp_path / "again.tflite", verify=by_tensor).operators
    for wrong in (data["one"], {"left": data["one"]}, [data["one"], data["two"]]):
        with pytest.raises(ValueError, match="one array for each input of the model, one, two, as a dict"):
            tfmp.export_tflite(fixed, tmp_path / "wrong.tflite", verify=wrong)
    assert not (tmp_path / "wrong.tflite").exists()


def relaxed(**arguments):
    model = randomized(normalized())
    return tfmp.relax(model, **{"weight_bits": 2, "activation_bits": 2, **arguments})


def strange():
    image = keras.Input((8, 8, 3), name="image")
    x = keras.ops.sinh(layers.Conv2D(4, 3, name="first")(image))
    return keras.Model(image, layers.Conv2D(4, 3, name="last")(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "slow"}, "`mode` must be one of 'fast', .*'slow'"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.0}, "batch_size"),
        ({"input_type": "int16"}, "input_type"),
        ({"output_type": "half"}, "output_type"),
        ({"labels": ["a", "b"]}, "2 labels for outputs of shape .1, 5."),
        ({"verify": np.full((2, 8, 8, 3), np.nan)}, "Verification data must be finite"),
        ({"verify": np.zeros((0, 8, 8, 3))}, "Verification data must hold at least one sample"),
        ({"verify": []}, "Verification data"),
        ({"verify": tf.data.Dataset.from_tensor_slices(np.zeros((0, 8, 8, 3))).batch(2)}, "at least one sample"),
        ({"verify": np.zeros((2, 8, 7, 3))}, "must have the shape"),
        ({"verify": {"picture": np.zeros((2, 8, 8, 3))}}, "image.*Received: the keys picture"),
        ({"model": lambda data: relaxed(weight_bits=(2, 3))}, "still open: deep, point.*tfmp.fix"),
        ({"model": lambda data: relaxed()}, "`first` was never calibrated"),
        ({"model": lambda data: normalized()}, "no quantized layer"),
        ({"model": lambda data: keras.Sequential([layers.Dense(2)])}, "is not built"),
        ({"model": lambda data: tfmp.relax(strange(), first_and_last="search", calibration=data)}, "still open"),
        (
            {
                "model": lambda data: tfmp.relax(
                    strange(), weight_bits=4, activation_bits=4, first_and_last="search", calibration=data
                )
            },
            "no operators in the runtime: Sinh",
        ),
    ],
)
def test_bad_input_leaves_the_disk_as_it_was(arguments, message, fixed, data, tmp_path):
    model = fixed
    if "model" in arguments:
        model = arguments["model"](data)
        arguments = {}
    existing = tmp_path / "existing.tflite"
    existing.write_bytes(b"precious")
    for path in (existing, tmp_path / "new.tflite"):
        with pytest.raises(ValueError, match=message):
            tfmp.export_tflite(model, path, overwrite=True, **arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["existing.tflite"]
    assert existing.read_bytes() == b"precious"


@pytest.mark.parametrize("labels", ["abcde", [1, 2, 3, 4, 5], None])
def test_labels_are_names(labels, fixed, tmp_path):
    with pytest.raises(TypeError, match="`labels` must be a list of names"):
        tfmp.export_tflite(fixed, tmp_path / "model.tflite", labels=labels)


@pytest.mark.parametrize("step", ["write_tflite", "with_own_metadata", "compared", "write_atomically"])
def test_an_interrupted_export_leaves_the_disk_as_it_was(step, fixed, data, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(export, step, interrupt)
    existing = tmp_path / "existing.tflite"
    existing.write_bytes(b"precious")
    for path in (existing, tmp_path / "new.tflite"):
        with pytest.raises(KeyboardInterrupt):
            tfmp.export_tflite(fixed, path, verify=data[:2], overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["existing.tflite"]
    assert existing.read_bytes() == b"precious"


@pytest.mark.slow
def test_a_killed_export_leaves_the_file_as_it_was(fixed, tmp_path):
    fixed.save(tmp_path / "fixed.keras")
    program = """
        import os, signal, sys
        import tfmp

        fixed = tfmp.load_model(sys.argv[1])
        # At this moment the file is being written.
        os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
        tfmp.export_tflite(fixed, sys.argv[2], overwrite=True)
    """
    existing = tmp_path / "existing.tflite"
    existing.write_bytes(b"precious")
    arguments = [sys.executable, "-c", textwrap.dedent(program), tmp_path / "fixed.keras", existing]
    done = subprocess.run(arguments, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-500:]
    assert existing.read_bytes() == b"precious"


def test_not_a_model(tmp_path):
    with pytest.raises(TypeError, match="Keras model"):
        tfmp.export_tflite({}, tmp_path / "model.tflite")


def test_places_that_cannot_be_written(fixed, tmp_path, monkeypatch):
    existing = tmp_path / "existing.tflite"
    existing.write_bytes(b"precious")
    for path, error in (
        (existing, FileExistsError),
        (tmp_path / "missing" / "model.tflite", FileNotFoundError),
        (existing / "model.tflite", NotADirectoryError),
        (tmp_path, IsADirectoryError),
    ):
        with pytest.raises(error):
            tfmp.export_tflite(fixed, path)
    with monkeypatch.context() as patch, pytest.raises(PermissionError, match="Cannot write to the folder"):
        patch.setattr(os, "access", lambda *_: False)  # who runs the tests may be allowed everything
        tfmp.export_tflite(fixed, tmp_path / "model.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["existing.tflite"]
    assert existing.read_bytes() == b"precious"
    tfmp.export_tflite(fixed, existing, overwrite=True)
    assert existing.read_bytes()[4:8] == b"TFL3"


def with_changed_constant(monkeypatch, layer, constant, change):
    """Makes the folded model that a file is compared with differ in one constant."""
    write_integer = Framework.write_integer

    def changed(framework, graph):
        folded = write_integer(framework, graph)
        variable = getattr(folded.get_layer(layer), f"{constant}_constant")
        variable.assign(change(keras.ops.convert_to_numpy(variable)))
        return folded

    monkeypatch.setattr(Framework, "write_integer", changed)


def swapped(kernel):
    return np.flip(kernel, -1)


@pytest.mark.parametrize(
    ("layer", "constant", "change"),
    [
        ("point", "kernel", swapped),
        ("hidden", "bias", lambda bias: bias + 100_000),
        ("deep", "kernel_scale", lambda scale: scale * 1.1),
    ],
)
def test_an_operator_that_differs_is_named_and_nothing_written(
    layer, constant, change, fixed, data, tmp_path, monkeypatch
):
    with_changed_constant(monkeypatch, layer, constant, change)
    existing = tmp_path / "existing.tflite"
    existing.write_bytes(b"precious")
    with pytest.raises(ValueError, match=f"Operator `{layer}` .* of the file differs from the folded model"):
        tfmp.export_tflite(fixed, existing, verify=data, overwrite=True)
    assert existing.read_bytes() == b"precious"
    report = tfmp.export_tflite(fixed, existing, overwrite=True)
    assert report.size_bytes == existing.stat().st_size


def test_classes_that_differ(fixed, data, tmp_path, monkeypatch):
    with_changed_constant(monkeypatch, "logits", "kernel", swapped)
    tolerance = tfmp.Tolerance(operator_equal=0, operator_difference=255, folded_db=None)
    with pytest.raises(ValueError, match="`logits` .* far from that of the folded model.*class in at least 99%"):
        tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=data, tolerance=tolerance)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "ResNet50"])
def test_known_networks(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=10)
    images = np.random.default_rng(0).uniform(-1, 1, (64, 32, 32, 3)).astype(np.float32)
    reestimate_normalization(model, images)  # without it, untrained networks all but vanish with depth
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(2, 4), calibration=images)
    assignment = {
        layer.name: (4, 4)
        for layer in relaxed.layers
        if getattr(getattr(layer, "weight_selector", 0), "bits", 0) == (2, 4)
    }
    fixed = tfmp.fix(relaxed, assignment, calibration=images)
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=images[:8], tolerance=UNTRAINED)
    assert len(report.bits) == len(assignment) + 2 and set(report.bits.values()) == {(4, 4), (8, 8)}
    for operator in report.operators:
        assert operator.largest_difference <= 1 and operator.equal_share >= 0.99, operator
    assert report.folded.top1_agreement >= 0.99
