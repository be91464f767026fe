"""A search that is killed and resumed has the result of an uninterrupted one."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp
from tests.mixins import killed_search
from tfmp.files.finite_values import NotFiniteError

PROGRAM = Path(__file__).with_name("killed_search.py")
DEATHS = {"softmax": "after_epoch", "gumbel": "while_saving", "alternating": "while_saving"}


def run(*arguments, returncode=0):
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == returncode, done.stderr[-2000:]


@pytest.fixture(scope="module", params=DEATHS)
def runs(request, tmp_path_factory):
    """A search, the folder of an unbroken and of a killed and resumed run, and a copy of what the killed one left."""
    folder, left, name = tmp_path_factory.mktemp("broken"), tmp_path_factory.mktemp("left"), request.param
    run(folder, DEATHS[name], "never_written", name, returncode=-signal.SIGKILL)
    shutil.copytree(folder / name, left / name)
    run(folder, "never", "resumed", name, "unbroken")
    return name, folder, left


@pytest.mark.slow
def test_resumed_run_ends_as_the_unbroken_one(runs):
    name, folder, left = runs
    assert (
        names_in(left / name)
        == {
            "after_epoch": ["epoch-00001"],
            "while_saving": ["epoch-00001", "epoch-00002.tmp"],  # killed between writing and renaming
        }[DEATHS[name]]
    )
    assert names_in(folder / name) == ["epoch-00002", "epoch-00003"]
    unbroken, resumed = (json.loads((folder / f"{name}-{end}.json").read_text()) for end in ("unbroken", "resumed"))
    assert unbroken["epochs"] == [0, 1, 2] and resumed["epochs"] == [1, 2]
    assert resumed["bits"] == unbroken["bits"] and len(resumed["bits"]) == 2
    assert resumed["multiplier"] == unbroken["multiplier"]
    assert resumed["costs"] == unbroken["costs"][1:]
    if name == "alternating":
        first, *later = unbroken["decided"]
        assert resumed["decided"] == later and first > 0
    with np.load(folder / f"{name}-unbroken.npz") as one, np.load(folder / f"{name}-resumed.npz") as other:
        assert one.files == other.files and len(one.files) > 50
        for array in one.files:
            np.testing.assert_array_equal(other[array], one[array])
    model, search, data, _ = killed_search.prepared(folder / name, name)
    with pytest.raises(ValueError, match="has 3 complete epochs. Expected 2|another search. epochs: 3 then, 2 now"):
        model.fit(data, epochs=2, callbacks=[search], verbose=0)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A folder of searches that were interrupted in their second epoch."""
    folder = tmp_path_factory.mktemp("interrupted")
    for name in ("gumbel", "alternating"):
        with pytest.raises(KeyboardInterrupt):
            killed_search.run(folder, "interrupted", "never_written", name)
    return folder


CHANGES = {
    "weights": ({"weights_seed": 4}, r"weights: '20 arrays .*' then, '20 arrays .*' now.*same after `set_random_seed`"),
    "model": ({"units": 5}, r"model.layers.dense.units: 4 then, 5 now"),
    "candidates": ({"weight_bits": (1, 2)}, r"model.layers.conv2d 2.weight_bits: \[1, 2, 4\] then, \[1, 2\] now"),
    "rate": ({"rate": 0.1}, r"optimizer.weights.learning_rate.initial_learning_rate: 0.05 then, 0.1 now"),
    "schedule": ({"decay_steps": 99}, r"learning_rate.decay_steps: 1000 then, 99 now"),
    "selection rate": ({"selection_rate": 0.1}, r"optimizer.selection.learning_rate: 0.05\d* then, 0.1"),
    "budget": ({"budget": (1, 2)}, r"costs.bitops.limit: \S+ then, \S+ now"),
    "multiplier": ({"multiplier_rate": 0.1}, r"multipliers.0.learning_rate: 0.01 then, 0.1 now"),
    "loss": ({"loss": "mae"}, r"loss: 'mse' then, 'mae' now"),
    "data": ({"inputs_seed": 5}, r"identity.x: 'float64 \[100\] .*' then"),
    "seed": ({"seed": 8}, r"identity.seed: 7 then, 8 now"),
}
ALTERNATING = {
    "selection data": ({"selection_inputs_seed": 6}, r"selection_data.data: .*float32 \[20, 6, 6, 2\]"),
    "selection seed": ({"selection_seed": 9}, r"selection_data.seed: 4 then, 9 now"),
    "freeze_above": ({"freeze_above": 0.9}, r"freeze_above: 0.52 then, 0.9 now"),
}
CASES = [("gumbel", *case) for case in CHANGES.values()]
CASES += [("alternating", *case) for case in [*ALTERNATING.values(), CHANGES["seed"], CHANGES["rate"]]]


@pytest.mark.default_cases(
    "gumbel-weights_seed",
    "gumbel-weight_bits",
    "gumbel-budget",
    "gumbel-inputs_seed",
    "alternating-selection_inputs_seed",
    "alternating-freeze_above",
)
@pytest.mark.parametrize(("name", "changed", "message"), CASES, ids=[f"{n}-{'-'.join(c)}" for n, c, _ in CASES])
def test_a_killed_search_is_not_taken_up_with_other_settings(interrupted, name, changed, message):
    folder = interrupted / name
    before = contents(folder)
    model, search, data, _ = killed_search.prepared(folder, name, **changed)
    with pytest.raises(ValueError, match=message) as caught:
        model.fit(data, epochs=3, callbacks=[search], verbose=0)
    error = str(caught.value)
    assert "another `backup_dir`, or remove the folder to start again" in error
    assert error.count(" then, ") == 1 or {"units", "weight_bits"} & changed.keys(), "nothing else differs"
    assert contents(folder) == before, "nothing is lost"


def test_epochs_matter_where_a_temperature_falls_over_them(interrupted):
    model, search, data, _ = killed_search.prepared(interrupted / "gumbel", "gumbel")
    with pytest.raises(ValueError, match="another search. epochs: 3 then, 4 now"):
        model.fit(data, epochs=4, callbacks=[search], verbose=0)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "locks")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks"}


X = np.random.default_rng(0).uniform(size=(8, 4)).astype(np.float32)


def search_model(units=5, optimizer="sgd"):
    keras.utils.set_random_seed(0)
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
    assert len(fit(again, tmp_path, 3)["loss"]) == 1, "more epochs continue after the last"
    later = again.fit(X, X[:, :1], epochs=2, verbose=0)
    assert later.epoch == [0, 1], "a fit without the search starts at its own beginning"


def test_an_interrupted_search_goes_on_with_the_model_that_it_left(tmp_path):
    """As in a notebook: its weights and its learning rate have moved on since its last complete epoch."""
    model, unbroken = search_model(), search_model()

    def interrupt(batch, logs=None):
        model.optimizer.learning_rate = 0.5
        raise KeyboardInterrupt

    fit(model, tmp_path)
    search = tfmp.MixedPrecisionSearch(eta=0.1, backup_dir=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        model.fit(
            X, X[:, :1], epochs=2, callbacks=[search, keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)]
        )
    fit(model, tmp_path, 2)
    fit(unbroken, tmp_path / "other", 2)
    for found, expected in zip(model.variables, unbroken.variables, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_search_that_is_not_finite_is_ended_and_not_saved(tmp_path):
    clean, model = np.tile(X, (2, 1)), search_model()
    x = clean.copy()
    x[12, 1] = np.nan

    def fit(x, epochs, **arguments):
        search = tfmp.MixedPrecisionSearch(eta=0.1, backup_dir=tmp_path, **arguments)
        options = {"batch_size": 8, "shuffle": False, "verbose": 0}
        return model.fit(x, x[:, :1], epochs=epochs, callbacks=[search], **options).epoch

    fit(clean, 1)
    before = contents(tmp_path)
    message = "loss is nan in batch 2 of epoch 2.*`.*kernel`.*inputs of the model hold such values"
    with pytest.raises(NotFiniteError, match=message) as caught:
        fit(x, 2)
    assert "The backup has the state of epoch-00001" in str(caught.value)
    assert contents(tmp_path) == before
    with pytest.raises(NotFiniteError, match=r"`identity\['x'\]` must be finite.* at index \[12, 1\]"):
        fit(x, 2, identity={"x": x})
    assert fit(clean, 2) == [1], "clean data go on from the last finite state"
    with pytest.raises(NotFiniteError, match="Check the data of `fit` first"):
        search_model().fit(X, X[:, :1] + np.inf, callbacks=[tfmp.MixedPrecisionSearch(eta=0.1)], verbose=0)
    model.get_layer("hidden").kernel.assign(np.full((3, 5), np.inf))
    with pytest.raises(NotFiniteError, match="would start from NaN or infinite values, in the variable `.*kernel`"):
        model.fit(X, X[:, :1], callbacks=[tfmp.MixedPrecisionSearch(eta=0.1)], verbose=0)


def test_a_folder_that_cannot_be_written_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    model = search_model()
    before = [np.asarray(v) for v in model.trainable_variables]
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match="`backup_dir` must be a folder that can be written.*file"):
            fit(model, folder)
    assert all(np.array_equal(v, value) for v, value in zip(model.trainable_variables, before, strict=True))
