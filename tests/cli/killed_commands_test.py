"""A killed command resumes only with the same settings."""

import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.tuner import tiny_experiment as tiny
from tfmp import cli
from tfmp.mixins.search_backup import SearchBackup

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETTINGS = {
    "search": {"search_epochs": "500", "finetune_epochs": "1", "like_uniform": "2,2"},
    "tune": {"search_epochs": "500", "finetune_epochs": "1", "budget": "bitops=2,2"},
}


def arguments(folder, command, model="model.keras", data="data.npz", output=None, flags=(), **changed):
    """Those of a command with some of its settings changed."""
    files = [str(folder / name) for name in (model, data, output or command)]
    settings = {"batch_size": "16", "loss": "logits", "seed": "3", **SETTINGS[command], **changed}
    return [command, *files, *(text for name, value in settings.items() for text in (f"--{name}", value)), *flags]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models and data."""
    folder = tmp_path_factory.mktemp("killed")
    (x_train, y_train), (x_test, y_test) = tiny.data()
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    np.savez(folder / "data.npz", **arrays)
    np.savez(folder / "other.npz", **{**arrays, "x_train": np.append(x_train[:-1], x_train[-1:] + 1e-6, axis=0)})
    model = tiny.build()
    model.save(folder / "model.keras")
    tiny.build(width=2.0).save(folder / "wider.keras")
    model.get_layer("first").bias.assign(np.full(8, 1e-6))
    model.save(folder / "trained.keras")
    keras.Sequential([keras.Input((4,)), *model.layers[1:], keras.layers.Softmax()]).save(folder / "deeper.keras")
    return folder


@pytest.fixture(scope="module")
def killed(folder):
    """The same folder, with what killed commands left."""
    command = [sys.executable, "-m", "tests.cli.killed_commands", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks"]
    return {path: path.read_bytes() for path in files if path.suffix != ".tmp"}  # half-written ones go


CHANGES = {
    "weights": ({"model": "trained.keras"}, r"weights: "),
    "width": ({"model": "wider.keras"}, r"model.layers.dense.units: 8 then, 16 now"),
    "architecture": ({"model": "deeper.keras"}, r"model.layers.softmax: 'nothing' then"),
    "data": ({"data": "other.npz"}, r"x(_train)?: 'float32 \[64, 4\]"),
    "candidates": ({"weight_bits": "1,2"}, r"weight_bits: .*1, ?2, ?3, ?4.* then, .*1, ?2\]"),
    "learning rate": ({"learning_rate": "0.01"}, r"learning_rate: '?0.001\d*'? then, '?0.0(1|09999)"),
    "seed": ({"seed": "4"}, r"seed: 3 then, 4 now"),
    "batch size": ({"batch_size": "32"}, r"batch_size: 16 then, 32 now"),
}
BUDGETS = {
    "search": ({"like_uniform": "1,2"}, r"costs.bitops.limit: 256.0 then, 128.0 now"),
    "tune": ({"budget": "bitops=1,2"}, r"budgets: \['bitops like 2,2'\] then, \['bitops like 1,2'\] now"),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", SETTINGS)
@pytest.mark.parametrize("kind", [*CHANGES, "budget"])
def test_it_is_not_taken_up_with_other_settings(killed, capsys, command, kind):
    changed, message = CHANGES.get(kind, BUDGETS[command])
    before = contents(killed / command)
    flags = ["--resume"] if command == "tune" else []
    assert cli.main(arguments(killed, command, flags=flags, **changed)) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.search(message, error) and "--overwrite" in error, error
    assert before.items() <= contents(killed / command).items(), "nothing is lost"


@pytest.mark.default_cases("same")
@pytest.mark.parametrize(
    "changed",
    [{}, {"learning_rate": "0.01"}, {"search_epochs": "2"}],
    ids=["same", "rate", "epochs"],
)
def test_a_search_goes_on_with_the_same_settings_and_overwrites_others(folder, capsys, monkeypatch, changed):
    save = SearchBackup.save
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # progress is shown on terminals

    def save_and_stop(*positional, **named):
        save(*positional, **named)
        raise KeyboardInterrupt

    given = {"search_epochs": "3", "output": "-".join(["again", *changed])}
    with monkeypatch.context() as patch:
        patch.setattr(SearchBackup, "save", save_and_stop)
        assert cli.main(arguments(folder, "search", **given)) == 130
    assert "Epoch 2" not in capsys.readouterr().err
    given |= changed  # the rates of a search follow from its epochs
    assert cli.main(arguments(folder, "search", flags=["--overwrite"], **given)) == 0
    printed, epochs = capsys.readouterr().err, given["search_epochs"]
    assert f"Epoch {epochs}/{epochs}" in printed and (f"Epoch 1/{epochs}" in printed) == bool(changed)
    names = {path.name for path in (folder / given["output"]).iterdir()}
    assert names == {"fixed.keras", "assignment.json"}
