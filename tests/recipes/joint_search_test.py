import dataclasses
import itertools
import json

import keras
import numpy as np
import pytest

import tfmp
from recipes import cost_gradients, experiment, joint_search
from recipes.datasets.augmented_images import AugmentedImages
from recipes.datasets.mixed_images import MixedImages
from recipes.image_sets import ImageSet
from tests.search_spaces import ONE
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.joint.search_space import SearchSpace

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.normal(size=(40, 6, 6, 3)).astype(np.float32), RNG.integers(0, 3, 40)
CONFIGS = [f"joint_{name}" for name in ("cifar10", "cifar100", "tiny_imagenet", "imagenet", "mobilenet_v2")]


def few_images(config, seed):
    count = config["num_train"] or len(IMAGES)
    training = AugmentedImages(IMAGES[:count], LABELS[:count], config["batch_size"], seed, margin=1)
    return ImageSet(training, {"x": IMAGES, "y": LABELS, "batch_size": 8}, 3)


@pytest.mark.default_cases("joint_cifar10", "joint_imagenet")
@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_are_complete(name):
    config = experiment.load_config(name)
    space = joint_search.space_of(config)
    exact = tfmp.joint.ExactGradient(space)
    least = exact.tables.constant + sum(table.min() for table in exact.tables.tables)
    largest = exact.tables.constant + sum(table.max() for table in exact.tables.tables)
    targets = [config["target_mj"], *(run["target_mj"] for run in config["runs"].values() if "target_mj" in run)]
    assert all(least < target * 1e6 < largest for target in targets)
    assert {run["method"] for run in config["runs"].values()} <= set(joint_search.METHODS)
    tfmp.joint.JointSettings(**config["search"])
    if name in ("joint_imagenet", "joint_tiny_imagenet"):
        assert dict(space.as_dict(), num_classes=1000) == SearchSpace().as_dict()


def test_loss_of_a_search_smooths_labels():
    assert joint_search.search_loss(experiment.load_config("joint_cifar10")) is None
    logits = RNG.normal(size=(4, 3)).astype(np.float32)
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -((0.9 * np.eye(3)[LABELS[:4]] + 0.1 / 3) * logs).sum(axis=1).mean()
    found = joint_search.search_loss(experiment.load_config("joint_tiny_imagenet"))(LABELS[:4], logits)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_parts_of_the_training_set_are_disjoint(monkeypatch):
    monkeypatch.setattr(joint_search, "image_set", few_images)
    training, validation = joint_search.search_parts({"dataset": "cifar10", "num_search": 40, "batch_size": 4}, 3)
    assert (len(training(0)), len(validation(0))) == (8, 2)
    labels = [sorted(np.concatenate([part(1)[i][1] for i in range(len(part(1)))])) for part in (training, validation)]
    assert labels == [sorted(LABELS[:32]), sorted(LABELS[32:])]
    first = training(0)[0][0].copy()
    assert not np.array_equal(first, training(1)[0][0])
    np.testing.assert_array_equal(first, training(0)[0][0])


def test_parts_of_a_folder(tmp_path):
    for split, label, index in itertools.product(("train", "val"), "ab", range(10)):
        folder = tmp_path / split / label
        folder.mkdir(parents=True, exist_ok=True)
        shade = np.full((8, 8, 3), 20 * index + 10 * (label == "b"), np.uint8)
        keras.utils.save_img(folder / f"{index}.png", shade, scale=False)
    config = {"dataset": str(tmp_path), "image_size": 8, "batch_size": 4, "num_search": None}
    training, validation = joint_search.search_parts(config, 1)
    # However it is cropped, an image of one shade is one of that shade.
    shades = [
        {round(float(image[4, 4, 0]), 3) for epoch in (0, 1) for images, _ in part(epoch) for image in images}
        for part in (training, validation)
    ]
    assert [len(each) for each in shades] == [16, 4] and shades[0].isdisjoint(shades[1])
    for one, other in zip(training(3), training(3), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    few, _ = joint_search.search_parts({**config, "num_search": 10}, 1)
    assert (len(training(0)), len(few(0))) == (4, 2)


def test_mixed_images():
    mixed = MixedImages(few_images({"num_train": 40, "batch_size": 8}, 0).training, 3, 0.2)
    mixed.set_epoch(2)
    images, labels = mixed[1]
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    assert images.dtype == labels.dtype == np.float32 and images.shape == (8, 6, 6, 3)
    plain = MixedImages(mixed.images, 3, 0.0)
    originals, one_hot = plain[1]
    # Every mixture lies on the line between its image and another one, at the place that its label tells.
    for image, label, original, own in zip(images, labels, originals, one_hot, strict=True):
        found = [
            (share, other)
            for share in {float(label[own.argmax()]), *np.unique(labels)}
            for other in originals
            if np.allclose(image, share * original + (1 - share) * other, atol=1e-5)
        ]
        assert found
    np.testing.assert_array_equal(mixed[1][0], images)


@pytest.mark.slow
def test_recipe_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(joint_search, "image_set", few_images)
    monkeypatch.setattr(experiment, "RESULTS", tmp_path)
    space = dataclasses.replace(ONE, stages=[(6,)]).as_dict()  # whose block cannot be skipped
    size = space.pop("image_size")
    config = experiment.load_config("joint_cifar10") | {
        "space": space,
        "image_size": size,
        "target_mj": 0.2,
        "stepwise_slack": 1.5,
        "batch_size": 4,
        "num_train": 16,
        "search_epochs": 2,
        "epochs": 1,
        "num_search": 20,
        "search": {"weight_epochs": 0},
        "found": "small/joint",
    }
    folders = tmp_path / "runs", tmp_path / "small"
    names = ["joint", "uniform2", "stepwise", "reference", "transferred"]
    for method, run in experiment.plan(joint_search.METHODS, config, names=names, folders=folders):
        experiment.execute(method, run)
    records = {path.stem.split("-")[0]: json.loads(path.read_text()) for path in folders[1].glob("*.json")}
    assert set(records) == set(names)
    for record in records.values():
        network = DiscreteNetwork.from_json(record["network"])
        assert record["energy_mj"] == tfmp.joint.ArchitectureCost()(network) / 1e6
        assert 0 <= record["accuracy"] <= 1 and record["kernel_bytes"] > 0
    assert len(records["joint"]["search"]["history"]) == 2
    blocks = [records[name]["blocks"][0].split(" [") for name in ("joint", "uniform2", "transferred")]
    assert blocks[0] == blocks[2] and blocks[1] == [blocks[0][0], "2, 2]"]
    assert records["reference"]["blocks"] == ["MB6 3x3 [8, 8]"]
    joint_search.draw(folders[1], tmp_path / "figures")
    assert (tmp_path / "figures" / "small-seed0.svg").exists()


def test_gradients_are_compared(tmp_path):
    space = ONE.as_dict()
    config = {"space": space, "batch": 16, "samples": [1, 3], "num_estimates": 200, "logits_deviation": 0.5}
    folders = tmp_path, tmp_path
    for method, run in experiment.plan(cost_gradients.METHODS, config, names=["leave_one_out"], folders=folders):
        found = method(run)["by_samples"]
    assert set(found) == {"3"} and found["3"]["covered"] > 0.7
    assert found["3"]["bias"] < 3 * found["3"]["bias_by_chance"]
    assert found["3"]["deviation"] == pytest.approx(found["3"]["bias_by_chance"] * np.sqrt(200), rel=1e-6)
