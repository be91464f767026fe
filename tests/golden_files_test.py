"""Models that version 0.1.0 saved still load, and export to the same bytes."""

import numpy as np
import pytest
import tensorflow_model_optimization as tfmot

import tfmp
import tfmp.tfmot
from tests import golden_files
from tfmp.tflite.interpreter import Interpreter

quantize_scope = tfmot.quantization.keras.quantize_scope

MODELS = sorted(path.stem for kind in ("keras", "h5") for path in golden_files.FOLDER.glob(f"*.{kind}"))


def test_there_are_models_of_both_kerases_and_of_tfmot():
    assert len(MODELS) >= 12
    assert {name.split("_")[0] for name in MODELS} == {"keras", "tf", "tfmot"}


def check(name, mode, folder):
    """Fails if a file in integers has other bytes, or one in floating point, which TensorFlow writes, other results."""
    path = golden_files.path_of(name)
    with quantize_scope():
        fixed = tfmp.load_model(path)
    content = golden_files.exported(fixed, mode, folder / "model.tflite")
    expected = path.with_suffix(f".{mode}.tflite").read_bytes()
    if mode != "float":
        assert content == expected
        return
    files = [Interpreter(each) for each in (content, expected)]
    rng = np.random.default_rng(0)
    inputs = {key: rng.normal(size=(4, *each.shape[1:])).astype(each.dtype) for key, each in files[0].inputs.items()}
    found, outputs = (file.run(inputs) for file in files)
    for key, output in outputs.items():
        np.testing.assert_allclose(found[key], output, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_saved_models_export_to_the_same_bytes(name, tmp_path):
    check(name, "fast", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["small", "float"])
@pytest.mark.parametrize("name", MODELS)
def test_saved_models_export_to_the_same_file_in_other_modes(name, mode, tmp_path):
    check(name, mode, tmp_path)
