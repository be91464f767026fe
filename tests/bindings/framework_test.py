import keras
import numpy as np
import pytest
import tf_keras

import tfmp
from tfmp.bindings.framework import framework_name, framework_of

MODULES = {keras: tfmp, tf_keras: tfmp.keras2}


def small_model(framework):
    layers = [framework.layers.Dense(4, activation="relu") for _ in range(3)]
    return framework.Sequential([framework.Input((4,)), *layers])


@pytest.mark.parametrize("framework", MODULES, ids=lambda framework: framework.__name__)
def test_what_goes_in_comes_out(framework):
    model = small_model(framework)
    name = framework.__name__
    assert framework_name(model) == framework_of(model).read(model).framework == name
    for made in (tfmp.relax(model), framework_of(model).write(framework_of(model).read(model))):
        assert isinstance(made, framework.Model)


def test_a_model_is_read_as_it_is_named_now(monkeypatch):
    inputs = keras.Input((4,), name="x")
    model = keras.Model(inputs, keras.layers.ReLU(name="before")(inputs))
    read = framework_of(model).read
    assert [call.layer for call in read(model).calls] == ["x", "before"]
    model.layers[1].name = "after"
    monkeypatch.setattr(model.layers[1], "trainable", False)
    graph = read(model)
    assert [call.layer for call in graph.calls] == ["x", "after"] and not graph.layers["after"].trainable
    monkeypatch.setattr(model, "get_config", None)
    assert read(model).outputs == graph.outputs, "what cannot change is read once"


@pytest.mark.parametrize("wrong", ["model.keras", None, np.zeros(3)], ids=str)
def test_what_is_no_model(wrong):
    with pytest.raises(TypeError, match="must be a Keras model"):
        framework_of(wrong)


@pytest.mark.parametrize(
    ("framework", "other", "right"),
    [(tf_keras, tfmp, "tfmp.keras2"), (keras, tfmp.keras2, "tfmp")],
    ids=["tf_keras", "keras"],
)
def test_parts_of_the_other_keras_are_refused_by_name(framework, other, right):
    model = tfmp.relax(small_model(framework))
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=rf"`{right}\.MixedPrecisionSearch`\.$"):
        model.fit(np.ones((2, 4)), np.ones((2, 4)), callbacks=[other.MixedPrecisionSearch(eta=1.0)], verbose=0)
    with pytest.raises(ValueError, match=rf"takes {right}\.SelectionOptimizer"):
        model.compile(other.SelectionOptimizer(), "mse")


@pytest.mark.parametrize(
    ("framework", "names"),
    [
        (keras, ("model.keras", "model.h5")),
        (tf_keras, ("model.keras", "model.h5")),
        pytest.param(tf_keras, ("saved_model",), marks=pytest.mark.slow),
    ],
    ids=["keras", "tf_keras", "saved_model"],
)
def test_saved_models_load_into_the_keras_that_saved_them(framework, names, tmp_path):
    model = tfmp.relax(small_model(framework), calibration=np.ones((2, 4), np.float32))
    for name in names:
        model.save(tmp_path / name)
        loaded = tfmp.load_model(tmp_path / name)
        assert isinstance(loaded, framework.Model), name
        np.testing.assert_allclose(loaded(np.ones((2, 4))), model(np.ones((2, 4))), rtol=1e-5)


def test_what_cannot_be_loaded(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"nothing")
    for path in (tmp_path / "model.keras", tmp_path / "missing.keras", tmp_path):
        with pytest.raises((ValueError, OSError)):
            tfmp.load_model(path)
