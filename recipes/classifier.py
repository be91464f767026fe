"""How recipes train classifiers of CIFAR-10."""

import os

import keras
import numpy as np

import tfmp
from recipes.datasets import cifar10
from recipes.datasets.augmented_images import AugmentedImages, EpochSeed
from recipes.experiment import load_config

MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)
DEVIATION = np.array([0.2470, 0.2435, 0.2616], np.float32)
# What the weights in floating point depend on; files of weights show where these differ from the standard ones.
FLOAT_SETTINGS = ("network", "width", "float_num_train", "batch_size", "float_epochs", "float_learning_rate")
_STANDARD = load_config("resnet8_cifar10")


def datasets(config, seed, *, num_train=None):
    """Returns the training set, shuffled and augmented by (seed, epoch), and both sets as arrays.

    Args:
        config: Settings; `num_train` images of the training set, in the original order.
        seed: Integer.
        num_train: Another number of images.

    Returns:
        `augmented, (x_train, (x_test, y_test))`.
    """
    (x_train, y_train), (x_test, y_test) = cifar10.load_cifar10()
    count = config["num_train"] if num_train is None else num_train
    x_train, y_train = normalized(x_train[:count]), y_train[:count]
    return AugmentedImages(x_train, y_train, config["batch_size"], seed), (x_train, (normalized(x_test), y_test))


def held_out(count):
    """The last images of the training set, normalized, and their labels; trainings take the first ones."""
    (x_train, y_train), _ = cifar10.load_cifar10()
    return normalized(x_train[-count:]), y_train[-count:]


def normalized(images):
    """Images of bytes with mean 0 and deviation 1 in each channel."""
    return (images.astype(np.float32) / 255.0 - MEAN) / DEVIATION


@keras.saving.register_keras_serializable("tfmp.recipes")
class CosineFrom(keras.optimizers.schedules.CosineDecay):
    """A cosine decay from one of its later steps on, for the second of two trainings that share it."""

    def __init__(self, initial_learning_rate, decay_steps, first_step):
        super().__init__(initial_learning_rate, decay_steps)
        self.first_step = first_step

    def __call__(self, step):
        return super().__call__(step + self.first_step)

    def get_config(self):
        names = ("initial_learning_rate", "decay_steps", "first_step")
        return {name: getattr(self, name) for name in names}


def cosine(learning_rate, epochs, steps_per_epoch, *, first_epoch=0):
    """A learning rate that falls to zero over all steps, for a training that begins at one of the epochs."""
    return CosineFrom(learning_rate, epochs * steps_per_epoch, first_epoch * steps_per_epoch)


def compile_model(model, optimizer):
    """Compiles a classifier with logits."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])


def sgd(learning_rate, epochs, steps_per_epoch):
    """SGD with momentum and a cosine schedule."""
    return keras.optimizers.SGD(cosine(learning_rate, epochs, steps_per_epoch), momentum=0.9, nesterov=True)


def fit(model, data, epochs, *, callbacks=(), first_epoch=0):
    """Trains a compiled model on augmented images, which shuffle themselves, and returns the history."""
    callbacks = [EpochSeed(data, first_epoch), *callbacks]
    return model.fit(data, epochs=epochs, shuffle=False, callbacks=callbacks, verbose=2).history


def train(model, data, test, epochs, learning_rate, *, first_epoch=0):
    """Trains at fixed structure and returns the history and the final test accuracy."""
    compile_model(model, sgd(learning_rate, epochs, len(data)))
    history = fit(model, data, epochs, first_epoch=first_epoch)
    return history, accuracy(model, test)


def accuracy(model, test):
    """Share of the test images that a compiled model gets right."""
    return float(model.evaluate(*test, batch_size=500, verbose=0)[1])


def float_name(config):
    """`float`, with each setting that the weights depend on where it is not that of `resnet8_cifar10`."""
    changed = [key for key in FLOAT_SETTINGS if config[key] != _STANDARD[key]]
    return "float" + "".join(f"-{key}={config[key]}" for key in changed)


def float_model(config, seed, work_dir):
    """Returns the trained float model, from its file if it was trained before, and its history or else None."""
    path = work_dir / f"{float_name(config)}-seed{seed}.keras"
    if path.exists():
        return keras.models.load_model(path), None
    keras.utils.set_random_seed(seed)
    model = tfmp.networks.get(config["network"])(keras, image_size=32, num_classes=10, width=config["width"])
    data, (_, test) = datasets(config, seed, num_train=config["float_num_train"])
    history, _ = train(model, data, test, config["float_epochs"], config["float_learning_rate"])
    work_dir.mkdir(parents=True, exist_ok=True)
    model.save(path.with_suffix(".tmp.keras"))
    os.replace(path.with_suffix(".tmp.keras"), path)
    return model, history
