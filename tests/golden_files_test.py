"""Models that version 0.1.0 saved still load, and export to the same bytes."""

import pytest

import tfmp
from tests import golden_files

MODELS = sorted(path.stem for path in golden_files.FOLDER.glob("*.keras"))


def test_there_are_models_of_both_kerases():
    assert len(MODELS) >= 12
    assert {name.split("_")[0] for name in MODELS} == {"keras", "tf"}


def check(name, modes, folder):
    path = golden_files.FOLDER / f"{name}.keras"
    fixed = tfmp.load_model(path)
    for mode in modes:
        content = golden_files.exported(fixed, mode, folder / "model.tflite")
        assert content == path.with_suffix(f".{mode}.tflite").read_bytes(), mode


@pytest.mark.parametrize("name", MODELS)
def test_saved_models_export_to_the_same_bytes(name, tmp_path):
    check(name, ("fast", "small"), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_saved_models_export_to_the_same_bytes_in_floating_point(name, tmp_path):
    check(name, ("float",), tmp_path)
