"""The images that recipes train on."""

from recipes.datasets.cifar10 import load_cifar10

__all__ = ["load_cifar10"]
