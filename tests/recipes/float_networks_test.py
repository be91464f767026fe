"""The recipe of float networks: weights are what was trained, and a killed run resumes."""

import json

import numpy as np
import pytest

from recipes import classifier, experiment, float_networks
from recipes.datasets import cifar10

SMALL = {"num_train": 64, "batch_size": 32, "epochs": 2, "cycles": 1, "learning_rate": 0.05}


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (64, 32, 32, 3), np.uint8), rng.integers(0, 10, 64)
    monkeypatch.setattr(cifar10, "load_cifar10", lambda: ((images, labels), (images, labels)))


def run_of(folder, **settings):
    config = experiment.load_config("float_networks") | {"network": "resnet8"} | SMALL | settings
    return experiment.Run("resnet8", config, 0, folder / "runs", folder / "results")


@pytest.mark.slow
def test_loaded_weights_have_the_recorded_accuracy(tmp_path):
    run = run_of(tmp_path)
    experiment.execute(float_networks.train, run)
    model = float_networks.load("resnet8", folder=run.results_dir)
    classifier.compile_model(model, "sgd")
    _, (_, test) = classifier.datasets(run.config, 0)
    assert classifier.accuracy(model, test) == pytest.approx(json.loads(run.path.read_text())["accuracy"])


def test_every_cycle_starts_at_the_full_rate():
    rate = float_networks.learning_rate({**SMALL, "epochs": 4, "cycles": 2}, steps_per_epoch=10)
    rates = [float(rate(step)) for step in (0, 19, 20, 39)]
    np.testing.assert_allclose([rates[0], rates[2]], SMALL["learning_rate"])
    assert max(rates[1], rates[3]) < 0.01 * SMALL["learning_rate"]


@pytest.mark.slow
def test_a_killed_run_resumes_with_equal_weights(tmp_path, monkeypatch):
    whole, killed = run_of(tmp_path / "whole"), run_of(tmp_path / "killed")
    float_networks.train(whole)

    class Killed(float_networks.EpochSeed):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt
            super().on_epoch_begin(epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(float_networks, "EpochSeed", Killed)
        with pytest.raises(KeyboardInterrupt):
            float_networks.train(killed)
    float_networks.train(killed)
    with np.load(whole.path.with_suffix(".npz")) as first, np.load(killed.path.with_suffix(".npz")) as second:
        assert first.keys() == second.keys()
        for name in first:
            np.testing.assert_allclose(first[name], second[name], atol=1e-6, err_msg=name)


def test_wrong_names_and_unfinished_runs(tmp_path):
    with pytest.raises(ValueError, match="one of resnet8, .*Received: 'vgg'"):
        float_networks.load("vgg")
    with pytest.raises(FileNotFoundError, match="float_networks --methods=resnet8 --seeds=0"):
        float_networks.load("resnet8", folder=tmp_path)


def test_committed_weights_load_and_are_under_a_megabyte():
    records = sorted((experiment.RESULTS / "float_networks").glob("*.json"))
    assert records
    for record in records:
        name, seed = record.stem.split("-seed")
        assert record.with_suffix(".npz").stat().st_size < 1e6
        model = float_networks.load(name, seed=int(seed))
        assert model.count_params() == json.loads(record.read_text())["num_parameters"]
        assert all(np.isfinite(weight).all() for weight in model.get_weights())
