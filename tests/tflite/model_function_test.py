"""The model in floating point that a file is compared with."""

import keras
import numpy as np
import pytest
import tf_keras

import tfmp
from tests.transform.fold_models import fixed_model, randomized, samples, several
from tfmp.bindings.framework import framework_of
from tfmp.tflite.model_function import reference_function


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return randomized(several())


@pytest.fixture(scope="module")
def fixed(model):
    return fixed_model(model, [(8, 8)] * 4, samples(model))


def test_every_output_is_listed_in_every_mode(model, fixed, tmp_path):
    data = samples(model)
    for mode in ("fast", "float"):
        path = tmp_path / mode
        report = tfmp.export_tflite(fixed, path, mode=mode, verify=data, reference=model, tolerance=None)
        assert [output.name for output in report.reference.outputs] == ["kind", "map"]
        assert [output.decision.split(" ")[0] for output in report.trained.outputs] == ["largest", ""]
        assert (report.folded is None) == (mode == "float")
        assert "float model    kind: " in str(report) and "; map: " in str(report)
        assert tfmp.compare_tflite(fixed, path, data, reference=model) == report


@pytest.mark.parametrize(("names", "expected"), [("ab", [1, 2]), ("ba", [2, 1]), ("xy", [1, 2])])
def test_inputs_go_by_name_else_by_place(names, expected):
    def pair(names):
        ends = [keras.Input((3,), name=name) for name in names]
        return keras.Model(ends, [keras.layers.Identity()(end) for end in ends])

    model = pair("ab")
    graph = framework_of(model).read(model, weights=False)
    found = reference_function(pair(names), graph)(np.full((2, 3), 1.0), np.full((2, 3), 2.0))
    assert [float(keras.ops.mean(values)) for values in found] == expected


@pytest.mark.parametrize("framework", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_models_that_are_no_reference(framework, fixed, tmp_path):
    wider = framework.Sequential([framework.Input((6, 6, 2)), framework.layers.Dense(3)])
    graph = framework_of(fixed).read(fixed, weights=False)
    ends = [framework.Input((6, 6, 2)), framework.Input((6, 6, 2))]
    for other, what in ((wider, "inputs"), (framework.Model(ends, framework.layers.Add()(ends)), "outputs")):
        with pytest.raises(ValueError, match=f"`reference` must have the {what} of the exported.*that `tfmp.relax`"):
            reference_function(other, graph)
    with pytest.raises(ValueError, match="is not built"):
        reference_function(framework.Sequential([framework.layers.Dense(3)]), graph)
    with pytest.raises(TypeError, match="`reference` must be a Keras model.*Received: 'model.keras'"):
        tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=[0], reference="model.keras")
    with pytest.raises(ValueError, match="compared on the samples of `verify`"):
        tfmp.export_tflite(fixed, tmp_path / "model.tflite", reference=wider)
    with pytest.raises(TypeError, match="`tolerance` must be a `tfmp.Tolerance`, or None. Received: 0.5"):
        tfmp.export_tflite(fixed, tmp_path / "model.tflite", tolerance=0.5)
    assert not list(tmp_path.iterdir())
