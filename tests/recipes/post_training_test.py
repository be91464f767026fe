"""The recipe on a few images, with float networks that are not trained."""

import json
import pathlib

import keras
import numpy as np
import pytest

from recipes import classifier, experiment, float_networks, post_training
from recipes.sensitivities import calibration_images

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(24, 8, 8, 3)).astype(np.float32)


def small_network(name):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = inputs = keras.Input((8, 8, 3))
    for number in range(3):
        x = layers.Conv2D(4, 3, padding="same", activation="relu", name=f"conv{number}")(x)
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)), name=name)


def test_runs_are_named_by_network_bits_and_assignment():
    assert "mobilenet_v1-W4A8-uniform" in post_training.METHODS
    assert len(post_training.METHODS) == 3 * 5 * len(post_training.ASSIGNMENTS)


def test_calibration_images_are_drawn_by_the_seed():
    images = np.arange(100)
    drawn = [calibration_images(images, 20, seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert len(set(drawn[0])) == 20 and set(drawn[0]) != set(drawn[2])


@pytest.mark.usefixtures("eagerly")
@pytest.mark.slow
def test_a_run_has_every_level(tmp_path, monkeypatch):
    labels = np.arange(24) % 10
    monkeypatch.setattr(float_networks, "load", lambda name, **_: small_network(name))
    monkeypatch.setattr(classifier, "datasets", lambda config, seed: (None, (IMAGES, (IMAGES, labels))))
    config = {**experiment.load_config("post_training"), "num_calibration": 16, "iterations": 2}
    folders = (tmp_path / "work", tmp_path / "results")
    config |= {"weight_candidates": [2, 3, 4], "scores": "gradient"}
    names = ["resnet8-W3A8-uniform", "resnet8-W3A8-ilp"]
    planned, mixed = experiment.plan(post_training.METHODS, config, names=names, settings=(), folders=folders)
    experiment.execute(*planned)
    experiment.execute(*mixed)
    kernels, bits = json.loads(mixed[1].path.read_text())["bits_by_layer"], (2, 3, 4)
    assert all(pair[0] in bits and pair[1] == 8 for pair in kernels.values())
    assert sum(pair[0] for pair in kernels.values()) <= 6  # the layers have equally many weights
    record = json.loads(pathlib.Path(planned[1].path).read_text())
    assert list(record["levels"]) == ["ranges", "moments", "reconstruction"]
    assert record["bits_by_layer"] == {"conv1": [3, 8], "conv2": [3, 8]}
    for level in record["levels"].values():
        assert 0 <= level["accuracy"] <= 1 and level["file_bytes"] > 500
    sizes = [level["file_bytes"] for level in record["levels"].values()]
    assert max(sizes) < 1.1 * min(sizes)  # only constants that happen to be equal are stored once
    # Without depthwise layers, these bits are the uniform ones.
    ((method, same),) = experiment.plan(
        post_training.METHODS, config, names=["resnet8-W3A8-depthwise_8"], settings=(), folders=folders
    )
    monkeypatch.setattr(post_training, "measured_levels", None)
    experiment.execute(method, same)
    assert json.loads(same.path.read_text())["levels"] == record["levels"]
