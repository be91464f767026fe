"""Models that version 0.1.0 saved still load, and export to the same bytes."""

import pytest
import tensorflow_model_optimization as tfmot

import tfmp
import tfmp.tfmot
from tests import golden_files

quantize_scope = tfmot.quantization.keras.quantize_scope

MODELS = sorted(path.stem for kind in ("keras", "h5") for path in golden_files.FOLDER.glob(f"*.{kind}"))


def test_there_are_models_of_both_kerases_and_of_tfmot():
    assert len(MODELS) >= 12
    assert {name.split("_")[0] for name in MODELS} == {"keras", "tf", "tfmot"}


def check(name, modes, folder):
    path = golden_files.path_of(name)
    with quantize_scope():
        fixed = tfmp.load_model(path)
    for mode in modes:
        content = golden_files.exported(fixed, mode, folder / "model.tflite")
        assert content == path.with_suffix(f".{mode}.tflite").read_bytes(), mode


@pytest.mark.parametrize("name", MODELS)
def test_saved_models_export_to_the_same_bytes(name, tmp_path):
    check(name, ("fast",), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_saved_models_export_to_the_same_bytes_in_other_modes(name, tmp_path):
    check(name, ("small", "float"), tmp_path)
