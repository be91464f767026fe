import keras
import numpy as np
import pytest

from recipes import float_networks
from recipes.datasets import cifar10


@pytest.fixture
def small_float_network(monkeypatch):
    """A network with weights that were not trained, and images of noise."""

    def load(name, **options):
        keras.utils.set_random_seed(0)
        layers = keras.layers
        return keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                layers.Conv2D(8, 3, padding="same", activation="relu", name="first"),
                layers.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise"),
                layers.Conv2D(32, 1, activation="relu", name="pointwise"),
                layers.Flatten(name="flat"),
                layers.Dense(10, name="head"),
            ]
        )

    rng = np.random.default_rng(0)
    parts = [(rng.integers(0, 256, (n, 8, 8, 3), np.uint8), rng.integers(0, 10, n)) for n in (64, 24)]
    monkeypatch.setattr(float_networks, "load", load)
    monkeypatch.setattr(cifar10, "load_cifar10", lambda: parts)
