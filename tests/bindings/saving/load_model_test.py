import os
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
from tests.bindings import hostile_models as hostile

FRAMEWORKS = {"keras": keras, "tf_keras": tf_keras}
CASES = [
    (name, container, nesting)
    for name, containers in {
        "keras": ("zip", "hdf5", "folder"),
        "tf_keras": ("zip", "hdf5", "hdf5 named .keras", "saved_model"),
    }.items()
    for container in containers
    for nesting in (hostile.NESTINGS if container in ("zip", "hdf5") else ("functional", "wrapped twice"))
]


@pytest.fixture
def marker(tmp_path):
    """A file that exists as soon as a hostile model ran its code."""
    return tmp_path / "marker"


@pytest.fixture(scope="module")
def models():
    """A plain model of each Keras, compiled, with data."""
    found = {}
    for name, framework in FRAMEWORKS.items():
        inputs = framework.Input((4,), name="values")
        model = framework.Model(inputs, framework.layers.Dense(3, name="last")(inputs), name=name)
        model.compile("adam", "mse", metrics=["mae"])
        found[name] = model
    return found


@pytest.mark.parametrize(("framework", "container", "nesting"), CASES)
def test_a_model_that_holds_code_is_refused_and_its_code_never_runs(framework, container, nesting, tmp_path, marker):
    path = hostile.save(hostile.lambda_model(FRAMEWORKS[framework], nesting, marker), tmp_path / "a model", container)
    marker.unlink(missing_ok=True)
    for load in (tfmp.load_model, tfmp.keras2.load_model if framework == "tf_keras" else tfmp.load_model):
        with pytest.raises(ValueError, match=r"`evil` \(Lambda\) holds a Python function as code.*safe_mode=False"):
            load(path, compile=False)
    assert not marker.exists()
    if nesting == "functional":
        tfmp.load_model(path, compile=False, safe_mode=False)(np.ones((1, 4), np.float32))
        assert marker.exists(), "the code that was refused"


def test_no_module_is_imported_because_a_file_names_it(models, tmp_path, marker, monkeypatch):
    (tmp_path / "evil_module.py").write_text(f"open({str(marker)!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    for name, model in models.items():
        path = tmp_path / f"{name}.keras"
        for layer, owner in (("Dense", "last"), (None, name)):
            model.save(path)
            hostile.edit_config(path, hostile.of_module("evil_module", layer))
            message = rf"`{owner}` \(Evil\) is of a class of `evil_module`, which is not registered.*custom_objects"
            with pytest.raises(ValueError, match=message):
                tfmp.load_model(path)
    assert not marker.exists()
    with pytest.raises(ValueError, match=r"tf_keras.keras' cannot be loaded"):
        tfmp.load_model(path, safe_mode=False)
    assert marker.exists(), "the import that was refused"
    hostile.forget_module("evil_module")


def test_a_file_calls_no_tensorflow_function_that_touches_files(tmp_path, marker):
    path = tmp_path / "function.h5"
    hostile.tensorflow_function_model(tf_keras).save(path)
    assert tfmp.load_model(path).count_params() == 10
    hostile.edit_config(path, hostile.calling("io.gfile.makedirs", str(marker)))
    with pytest.raises(ValueError, match=r"calls the TensorFlow function `io.gfile.makedirs`"):
        tfmp.load_model(path)
    assert not marker.exists()
    with pytest.raises(ValueError, match="cannot be loaded"):
        tfmp.load_model(path, safe_mode=False)
    assert marker.exists(), "the call that was refused"


def test_what_the_program_registered_or_passes_is_trusted(tmp_path):
    for name, framework in FRAMEWORKS.items():

        class Twice(framework.layers.Layer):
            def call(self, x):
                return 2 * x

        inputs = framework.layers.Input((4,))
        path = tmp_path / f"{name}.keras"
        framework.Model(inputs, Twice()(inputs)).save(path)
        with pytest.raises(ValueError, match="not registered with Keras. Import the module"):
            tfmp.load_model(path)
        loaded = tfmp.load_model(path, custom_objects={"Twice": Twice})
        np.testing.assert_array_equal(loaded(np.ones((1, 4), np.float32)), 2 * np.ones((1, 4)))
        with framework.utils.custom_object_scope({"Twice": Twice}):
            assert isinstance(tfmp.load_model(path).layers[-1], Twice)


def test_a_loss_of_the_user_is_needed_only_for_the_compiled_state(models, tmp_path):
    def squares(y, prediction):
        return (y - prediction) ** 2

    for name, model in models.items():
        for ending in ("keras", "h5"):
            path = tmp_path / f"{name}.{ending}"
            copy = FRAMEWORKS[name].models.clone_model(model)
            copy.compile("adam", squares)
            copy.save(path)
            with pytest.raises(ValueError, match="compile=False|custom_objects"):
                tfmp.load_model(path)
            assert tfmp.load_model(path, compile=False).name == name
        path = path.with_suffix(".keras")
        assert tfmp.load_model(path, custom_objects={"squares": squares}).loss is squares


def test_a_saved_model_is_rebuilt_without_its_graph(tmp_path):
    layers = tf_keras.layers
    x = inputs = tf_keras.Input((6, 6, 1))
    x = layers.BatchNormalization(name="normalization")(layers.Conv2D(3, 3, kernel_regularizer="l2")(x))
    shared = layers.Conv2D(3, 1, activation=layers.LeakyReLU(0.2))
    x = layers.Reshape((4, 12))(shared(tf.nn.relu(shared(x)) * 2.0))
    x = layers.TimeDistributed(layers.Dense(2))(x)
    inner = tf_keras.Sequential([layers.Flatten(), layers.Dense(3)])
    model = tf_keras.Model(inputs, [inner(x), inner(x)])
    normalization = model.get_layer("normalization")
    normalization.set_weights([np.full(3, value, np.float32) for value in (0.5, 0.1, 0.2, 1.5)])
    model.compile("adam", "mse", metrics=["mae"])
    data = np.random.default_rng(0).random((4, 6, 6, 1)).astype(np.float32)
    targets = [np.ones((4, 3), np.float32)] * 2
    model.save(tmp_path / "saved", save_format="tf")
    loaded = tfmp.load_model(tmp_path / "saved")
    assert [len(v.shape) for v in loaded.weights] == [len(v.shape) for v in model.weights]
    for found, expected in zip(loaded.predict(data, verbose=0), model.predict(data, verbose=0), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert loaded.evaluate(data, targets, verbose=0) == pytest.approx(model.evaluate(data, targets, verbose=0))
    assert tfmp.load_model(tmp_path / "saved", compile=False).optimizer is None


def test_saved_models_without_a_structure_say_so(models, tmp_path):
    class Subclassed(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = tf_keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Subclassed()
    model(np.ones((1, 4), np.float32))
    model.save(tmp_path / "subclassed", save_format="tf")
    with pytest.raises(ValueError, match="is a SavedModel of a subclassed model.*functional model and save that"):
        tfmp.load_model(tmp_path / "subclassed")
    models["keras"].export(tmp_path / "exported", verbose=False)
    with pytest.raises(ValueError, match="is a SavedModel without a Keras model in it, as `model.export`"):
        tfmp.load_model(tmp_path / "exported")
    (tmp_path / "subclassed" / "keras_metadata.pb").write_bytes(b"\xff\xff")
    with pytest.raises(ValueError, match="has a damaged keras_metadata.pb"):
        tfmp.load_model(tmp_path / "subclassed")


@pytest.fixture(scope="module")
def foreign(models, tmp_path_factory):
    """Files that are no Keras models."""
    folder = tmp_path_factory.mktemp("foreign")
    models["keras"].save(folder / "model.keras")
    models["keras"].save_weights(folder / "a.weights.h5")
    models["tf_keras"].save_weights(folder / "b.weights.h5")
    models["tf_keras"].save(folder / "model.h5")
    whole = (folder / "model.keras").read_bytes()
    (folder / "cut.keras").write_bytes(whole[: len(whole) // 2])
    (folder / "cut.h5").write_bytes((folder / "model.h5").read_bytes()[:600])
    (folder / "renamed.h5").write_bytes(whole)
    (folder / "both.h5").write_bytes((folder / "model.h5").read_bytes() + whole)
    (folder / "empty.keras").write_bytes(b"")
    (folder / "network.tflite").write_bytes(b"\x1c\0\0\0TFL3\0\0")
    (folder / "network.onnx").write_bytes(b"\x08\x07\x12\x07pytorch")
    (folder / "old.pt").write_bytes(b"\x80\x02}q\0.")
    (folder / "text.keras").write_text("no model")
    (folder / "folder").mkdir()
    np.savez(folder / "data.npz", x=np.ones(3))
    for name, member in {"new.pt": "archive/data.pkl", "other.zip": "readme.txt"}.items():
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(member, "")
    for name, text in {"bad_json.keras": "{", "deep.keras": "[" * 100_000, "list.keras": "[]"}.items():
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("config.json", text)
    with h5py.File(folder / "bad_json.h5", "w") as file:
        file.attrs["model_config"] = "{"
    return folder


FOREIGN = {
    "nowhere.keras": "There is no file",
    "a.weights.h5": "holds weights but no model.*`load_weights`",
    "b.weights.h5": "holds weights but no model",
    "cut.keras": "is cut off or damaged.*Copy or save it again",
    "cut.h5": "is a damaged HDF5 file",
    "renamed.h5": "files that end in .keras do.*Rename it",
    "both.h5": "is an HDF5 file and a zip archive at once",
    "empty.keras": "is empty",
    "network.tflite": "is a TFLite file.*Give the Keras model that it was made from",
    "network.onnx": "is an ONNX file",
    "old.pt": "is a PyTorch file or another pickle, which tfmp never opens",
    "new.pt": "is a PyTorch file",
    "text.keras": "is of no format that Keras saves models in",
    "folder": "is a folder without a model in it",
    "data.npz": "holds arrays, as `numpy.savez` writes them",
    "other.zip": "is a zip archive without a model in it",
    "bad_json.keras": "is a damaged model: its configuration is no JSON",
    "deep.keras": "is a damaged model",
    "list.keras": "its configuration is no JSON object",
    "bad_json.h5": "its configuration is no JSON",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_model_is_named_with_the_way_out(name, foreign):
    with pytest.raises((ValueError, FileNotFoundError), match=FOREIGN[name]) as caught:
        tfmp.load_model(foreign / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)


def test_an_unpacked_file_loads_like_the_packed_one(models, tmp_path):
    path = hostile.save(models["keras"], tmp_path / "folder", "folder")
    found, expected = tfmp.load_model(path).get_weights(), models["keras"].get_weights()
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3,), TypeError, "`path` must be the path of a saved model. Received: 3"),
        ((None,), TypeError, "`path` must be"),
        (({"safe_mode": 0},), ValueError, "`safe_mode` must be True or False. Received: 0"),
        (({"compile": "no"},), ValueError, "`compile` must be True or False. Received: 'no'"),
    ],
)
def test_wrong_arguments(arguments, error, message, foreign):
    (argument,) = arguments
    with pytest.raises(error, match=message):
        if isinstance(argument, dict):
            tfmp.load_model(foreign / "model.keras", **argument)
        else:
            tfmp.load_model(argument)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read(foreign, tmp_path):
    path = tmp_path / "secret.keras"
    path.write_bytes((foreign / "model.keras").read_bytes())
    path.chmod(0)
    with pytest.raises(PermissionError, match="secret.keras"):
        tfmp.load_model(path)
