"""The images that recipes train on."""

from recipes.datasets.cifar10 import load_cifar10
from recipes.datasets.fashion_mnist import load_fashion_mnist

__all__ = ["load_cifar10", "load_fashion_mnist"]
