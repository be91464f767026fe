"""A search that is killed and started again ends where the unbroken one ends."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp

PROGRAM = Path(__file__).with_name("killed_search.py")
DEATHS = {"softmax": "after_epoch", "gumbel": "while_saving", "alternating": "while_saving"}


def start(*arguments):
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process, returncode=0):
    _, errors = process.communicate()
    assert process.returncode == returncode, errors[-2000:]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of the unbroken and of the killed and resumed runs, and what the killed ones had left."""
    unbroken, broken, left = tmp_path_factory.mktemp("unbroken"), tmp_path_factory.mktemp("broken"), {}
    in_one_go = start(unbroken, "never", "unbroken", *DEATHS)
    for name, death in DEATHS.items():
        finish(start(broken, death, "never_written", name), -signal.SIGKILL)
        left[name] = sorted(path.name for path in (broken / name).iterdir())
    finish(in_one_go)
    finish(start(broken, "never", "resumed", *DEATHS))
    return unbroken, broken, left


@pytest.mark.parametrize("name", DEATHS)
def test_resumed_run_ends_as_the_unbroken_one(runs, name):
    paths = runs[0] / f"{name}-unbroken", runs[1] / f"{name}-resumed"
    unbroken, resumed = (json.loads(path.with_suffix(".json").read_text()) for path in paths)
    assert unbroken["epochs"] == [0, 1, 2] and resumed["epochs"] == [1, 2]
    assert resumed["bits"] == unbroken["bits"] and len(resumed["bits"]) == 2
    assert resumed["multiplier"] == unbroken["multiplier"]
    assert resumed["costs"] == unbroken["costs"][1:]
    if name == "alternating":
        first, *later = unbroken["decided"]
        assert resumed["decided"] == later and first > 0
    with np.load(paths[0].with_suffix(".npz")) as one, np.load(paths[1].with_suffix(".npz")) as other:
        assert one.files == other.files and len(one.files) > 50
        for array in one.files:
            np.testing.assert_array_equal(other[array], one[array])


def test_what_a_killed_run_leaves(runs):
    _, broken, left = runs
    assert left["softmax"] == ["epoch-00001"]
    assert left["gumbel"] == ["epoch-00001", "epoch-00002.tmp"], "killed between writing and renaming"
    for name in DEATHS:
        assert [path.name for path in (broken / name).iterdir()] == ["epoch-00003"]


X = np.random.default_rng(0).uniform(size=(8, 4)).astype(np.float32)


def search_model(units=5, optimizer="sgd"):
    model = keras.Sequential([keras.Input((4,)), kl.Dense(3), kl.ReLU(), kl.Dense(units, name="hidden"), kl.Dense(1)])
    relaxed = tfmp.relax(model, weight_bits=(1, 2), activation_bits=(2, 4))
    relaxed.compile(optimizer, "mse", run_eagerly=True)
    return relaxed


def fit(model, folder, epochs=1, **arguments):
    search = tfmp.MixedPrecisionSearch(**(arguments or {"eta": 0.1}), backup_dir=folder)
    return model.fit(X, X[:, :1], epochs=epochs, callbacks=[search], verbose=0).history


def test_a_complete_run_is_not_trained_again(tmp_path):
    model, again = search_model(), search_model()
    fit(model, tmp_path, 2)
    history = fit(again, tmp_path, 2)
    assert history == {}
    for found, expected in zip(again.variables, model.variables, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert len(fit(again, tmp_path, 3)["loss"]) == 1, "more epochs go on behind the last"
    later = again.fit(X, X[:, :1], epochs=2, verbose=0)
    assert later.epoch == [0, 1], "a fit without the search starts at its own beginning"


@pytest.mark.parametrize(
    "other",
    [
        lambda folder: fit(search_model(units=6), folder),
        lambda folder: fit(search_model(optimizer="adam"), folder),
        lambda folder: fit(search_model(), folder, budget=tfmp.Budget("bitops", like_uniform=(2, 2))),
    ],
    ids=["model", "optimizer", "budget"],
)
def test_a_backup_for_another_search(tmp_path, other):
    fit(search_model(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(ValueError, match="belongs to another model, optimizer, budget.*`backup_dir`"):
        other(tmp_path)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}, "nothing is lost"


def test_a_folder_that_cannot_be_written_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    model = search_model()
    before = [np.asarray(v) for v in model.trainable_variables]
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match="`backup_dir` must be a folder that can be written.*file"):
            fit(model, folder)
    assert all(np.array_equal(v, value) for v, value in zip(model.trainable_variables, before, strict=True))
