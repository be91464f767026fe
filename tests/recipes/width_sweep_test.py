import json

import keras
import numpy as np
import pytest

import tfmp
from recipes import experiment, image_sets, width_sweep

pytestmark = pytest.mark.usefixtures("eagerly")
SETTINGS = ["num_train=64", "batch_size=32", "epochs=1", "warmup_epochs=0.5", "image_size=8"]


@pytest.fixture
def small_images(monkeypatch):
    """64 training and 20 test images in place of CIFAR-10."""
    rng = np.random.default_rng(0)
    sets = tuple((rng.integers(0, 256, (n, 32, 32, 3), np.uint8), np.arange(n) % 10) for n in (64, 20))
    monkeypatch.setitem(image_sets._CIFAR, "cifar10", (lambda: sets, 10))
    return sets


def configs():
    return sorted(path.stem for path in experiment.CONFIGS.glob("width_*.json"))


@pytest.mark.parametrize("name", configs())
def test_configurations_name_networks_and_known_settings(name, tmp_path):
    config = experiment.load_config(name)
    known = {*experiment.load_config("width_resnet20"), "keep"}
    assert set(config) <= known
    pairs = list(experiment.plan(width_sweep.METHODS, config, folders=(tmp_path, tmp_path)))
    assert pairs
    for _, run in pairs:
        assert set(run.config) <= known
        assert run.config["network"] in tfmp.networks.names()


@pytest.mark.slow
def test_a_run_trains_at_the_size_of_its_reference(small_images, tmp_path):
    config = experiment.load_config("width_mobilenet_v2")
    settings = [*SETTINGS, "record_magnitudes=true", "tolerance=0.1"]
    ((method, run),) = experiment.plan(
        width_sweep.METHODS, config, names=["W1D4-size0.25"], settings=settings, folders=(tmp_path, tmp_path)
    )
    experiment.execute(method, run)
    record = json.loads(run.path.read_text())
    assert (record["weight_bits"], record["depthwise_bits"]) == (1, 4)
    assert record["size_bits"] == pytest.approx(record["target_bits"], rel=0.1)
    assert record["width"] > 0.5
    assert len(record["history"]["loss"]) == 1
    assert len(record["magnitude_variance"]) == 17
    assert all(value > 0 for value in record["magnitude_variance"].values())


@pytest.mark.parametrize(
    "fan_in", ["4x3x3", *(pytest.param(fan_in, marks=pytest.mark.slow) for fan_in in ("1x12x12", "16x3x3"))]
)
def test_magnitudes_are_those_of_the_same_layers_at_every_fan_in(small_images, tmp_path, fan_in):
    config = experiment.load_config("width_vgg11_fan_in")
    settings = [*SETTINGS, "image_size=32", "num_train=4", "batch_size=2", "width=0.03125"]
    ((method, run),) = experiment.plan(
        width_sweep.METHODS, config, names=[f"{fan_in}-W1"], settings=settings, folders=(tmp_path, tmp_path)
    )
    experiment.execute(method, run)
    found = json.loads(run.path.read_text())["magnitude_variance"]
    assert list(found) == [f"conv{index}_depthwise" for index in range(2, 9)]


def test_images_are_reduced_by_means_and_shifted_by_an_eighth(small_images):
    config = {"dataset": "cifar10", "image_size": 16, "num_train": None, "batch_size": 4}
    images = image_sets.image_set(config, seed=3)
    x_test = small_images[1][0].astype(np.float64)
    scale = [np.array(numbers) for numbers in ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))]
    expected = ((x_test / 255 - scale[0]) / scale[1])[:, :2, :2].mean((1, 2))
    np.testing.assert_allclose(images.test["x"][:, 0, 0], expected, atol=1e-5)
    assert images.training[0][0].shape == (4, 16, 16, 3)
    assert images.training.margin == 2
    assert images.num_classes == 10


def test_images_of_folders(tmp_path):
    for split in ("train", "val"):
        for label in ("cat", "dog", "eel"):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(4):
                image = np.full((20, 30, 3), 85 * number, np.uint8)
                keras.utils.save_img(tmp_path / split / label / f"{number}.png", image, scale=False)
    config = {"dataset": str(tmp_path), "image_size": 16, "num_train": 8, "batch_size": 4}
    images = image_sets.image_set(config, seed=0)
    batches = list(images.training)
    assert len(batches) == len(images.training) == 2
    assert batches[0][0].shape == (4, 16, 16, 3)
    assert images.num_classes == 3
    x, y = next(iter(images.test["x"]))
    expected = (85 * np.arange(4) / 255 - 0.485) / 0.229
    np.testing.assert_allclose(x[:, 0, 0, 0], expected, atol=1e-3)
    np.testing.assert_array_equal(y, [0, 0, 0, 0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "/nowhere"}, "`dataset` must be one of cifar10, cifar100, or a folder"),
        ({"image_size": 5}, "divide"),
    ],
)
def test_unknown_images(changes, message):
    config = {"dataset": "cifar10", "image_size": 16, "num_train": None, "batch_size": 4, **changes}
    with pytest.raises(ValueError, match=message):
        image_sets.image_set(config, 0)


def test_smoothed_labels_are_those_of_keras():
    labels, logits = np.array([[1], [0], [3]]), np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(
        keras.ops.one_hot(labels[:, 0], 4), logits
    )
    found = keras.ops.mean(width_sweep.loss({"label_smoothing": 0.1})(labels, logits))
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
