"""Whenever `tfmp search` and `tfmp export` are killed, files are whole, and belong together."""

import json
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import tfmp
from tests.tuner import tiny_experiment as tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = {"fixed.keras", "assignment.json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model, a network of 4 bits throughout, its assignment, and data."""
    folder = tmp_path_factory.mktemp("random")
    (x_train, y_train), (x_test, y_test) = tiny.data()
    np.savez(folder / "data.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    model = tiny.build()
    model.save(folder / "model.keras")
    relaxed = tfmp.relax(model, weight_bits=(4,), activation_bits=(4,), calibration=x_train)
    assignment = tfmp.discretize(relaxed)
    assignment.to_json(folder / "old.json")
    tfmp.fix(relaxed, assignment, calibration=x_train).save(folder / "old.keras")
    return folder


def killed(tmp_path, kills, seed, *arguments):
    """Runs it; returns the folders of its states, and how it ended."""
    (tmp_path / "states").mkdir()
    command = [sys.executable, "-m", "tests.cli.killed_at_random", tmp_path, kills, seed, *arguments]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    states = sorted((tmp_path / "states").iterdir())
    assert len(states) >= kills
    return states, tmp_path / "killed"


def bits_of_model(path):
    config = json.loads(zipfile.ZipFile(path).read("config.json"))
    layers = [layer["config"] for layer in config["config"]["layers"]]
    return {layer["name"]: layer["weight_bits"][0] for layer in layers if layer.get("weight_bits")}


def bits_of_assignment(path):
    return {name: pair[0] for name, pair in tfmp.BitAssignment.from_json(path).bits.items()}


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "seed"), [(1, 1), pytest.param(30, 2, marks=pytest.mark.slow)])
def test_a_killed_search_leaves_one_pair_or_the_other(folder, tmp_path, kills, seed):
    output = tmp_path / "killed"
    output.mkdir()
    (output / "fixed.keras").write_bytes((folder / "old.keras").read_bytes())
    (output / "assignment.json").write_bytes((folder / "old.json").read_bytes())
    settings = "--search_epochs=2 --finetune_epochs=1 --like_uniform=1,2 --batch_size=16 --loss=logits --overwrite"
    given = ["search", folder / "model.keras", folder / "data.npz", "{output}", *settings.split()]
    states, last = killed(tmp_path, kills, seed, *given)
    for state in [*states, last]:
        if (state / "assignment.json").exists():
            assert bits_of_assignment(state / "assignment.json").items() <= bits_of_model(state / "fixed.keras").items()
        else:
            assert list(state.glob("backup/epoch-00002/finetuned-00001/assignment.json")), "the new pair is whole"
    assert {path.name for path in last.iterdir()} == NAMES
    assert bits_of_assignment(last / "assignment.json") != bits_of_assignment(folder / "old.json")


@pytest.mark.slow
def test_a_killed_export_leaves_the_old_file_or_the_new_one(folder, tmp_path):
    (tmp_path / "killed").mkdir()
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed" / "model.tflite").write_bytes(b"old")
    states, last = killed(
        tmp_path, 30, 1, "export", folder / "old.keras", "{output}/model.tflite", "--overwrite", "--mode=small"
    )
    new = (tmp_path / "whole" / "model.tflite").read_bytes()
    for state in states:
        assert (state / "model.tflite").read_bytes() in (b"old", new)
    assert [path.name for path in last.iterdir()] == ["model.tflite"], "nothing half-written stays"
    assert (last / "model.tflite").read_bytes() == new
