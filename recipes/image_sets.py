"""The images that networks are trained on from scratch: CIFAR-10, CIFAR-100, or folders such as those of ImageNet."""

import dataclasses
import pathlib
from typing import Any

from recipes.classifier import normalized
from recipes.datasets import cifar10, cifar100
from recipes.datasets.augmented_images import AugmentedImages
from recipes.datasets.image_folder import ImageFolder

_CIFAR = {"cifar10": (cifar10.load_cifar10, 10), "cifar100": (cifar100.load_cifar100, 100)}
_MARGIN = 1 / 8  # of the side, by which images are shifted; 4 pixels of 32


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Normalized images in batches.

    Args:
        training: What `fit` takes; its order and augmentation depend on seed and epoch.
        test: Arguments of `evaluate`.
        num_classes: Labels are from 0 to `num_classes - 1`.
    """

    training: Any
    test: dict
    num_classes: int


def image_set(config, seed) -> ImageSet:
    """Loads what a configuration names.

    Args:
        config: Settings: `dataset`, `"cifar10"`, `"cifar100"` or a folder with `train/CLASS/*` and `val/CLASS/*`;
            `image_size`, which for CIFAR divides 32; `num_train`, None for all; `batch_size`.
        seed: Integer.

    Raises:
        ValueError: If there is no such data set, or CIFAR has no such size.
    """
    if config["dataset"] in _CIFAR:
        return _cifar(config, seed)
    folder = pathlib.Path(config["dataset"]).expanduser()
    if not (folder / "train").is_dir() or not (folder / "val").is_dir():
        raise ValueError(
            f"`dataset` must be one of {', '.join(_CIFAR)}, or a folder with train/CLASS/* and val/CLASS/*. "
            f"Received: {config['dataset']!r}"
        )
    return _folder(folder, config, seed)


def _cifar(config, seed):
    load, num_classes = _CIFAR[config["dataset"]]
    if 32 % config["image_size"]:
        raise ValueError(f"`image_size` must divide 32 for {config['dataset']}. Received: {config['image_size']}")
    (x_train, y_train), (x_test, y_test) = load()
    count = config["num_train"] or len(x_train)
    x_train, x_test = (_reduced(normalized(x), config["image_size"]) for x in (x_train[:count], x_test))
    margin = round(_MARGIN * config["image_size"])
    training = AugmentedImages(x_train, y_train[:count], config["batch_size"], seed, margin=margin)
    return ImageSet(training, {"x": x_test, "y": y_test, "batch_size": 500}, num_classes)


def _reduced(images, size):
    """Images of a smaller size, each pixel the mean of a square."""
    factor = images.shape[1] // size
    return images.reshape(len(images), size, factor, size, factor, 3).mean((2, 4))


def _folder(folder, config, seed):
    training, validation = (ImageFolder(folder / split) for split in ("train", "val"))
    size, batch_size = config["image_size"], config["batch_size"]
    batches = training.training(size, batch_size, seed=seed)
    if config["num_train"]:
        batches = batches.take(config["num_train"] // batch_size)
    return ImageSet(batches, {"x": validation.evaluation(size, batch_size)}, training.num_classes)
