"""Networks of the literature, built with either Keras."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

from tfmp.checks import check_choice, check_integer, check_number
from tfmp.networks._convolution import check_keras

# Name to `file.function` here, and the arguments of the function that make it this network.
_NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "alexnet": ("alexnet.alexnet", {}),
    "dense_autoencoder": ("mlperf_tiny.dense_autoencoder", {}),
    "digits_cnn": ("resnet.digits_cnn", {}),
    "ds_cnn": ("mlperf_tiny.ds_cnn", {}),
    "googlenet": ("googlenet.googlenet", {}),
    "googlenet_cifar": ("googlenet.googlenet_cifar", {}),
    "inception_v3": ("inception_v3.inception_v3", {}),
    "inv_resnet26": ("resnet.inv_resnet26", {}),
    "mobilenet_v1_cifar": ("mobilenet.mobilenet_v1", {}),
    "mobilenet_v1_vww": (
        "mobilenet.mobilenet_v1",
        {"name": "mobilenet_v1_vww", "strides": 2, "image_size": 96, "num_classes": 2, "width": 0.25},
    ),
    "mobilenet_v2": ("mobilenet.mobilenet_v2", {}),
    "mobilenet_v2_cifar": (
        "mobilenet.mobilenet_v2",
        {"name": "mobilenet_v2_cifar", "strides": (1, 1, 1, 1, 2, 1, 1), "image_size": 32, "num_classes": 10},
    ),
    "mobilenet_v3_cifar": ("mobilenet.mobilenet_v3_cifar", {}),
    "resnet8": ("resnet.cifar_resnet", {"depth": 8}),
    "resnet18": ("resnet.preactivation_resnet", {"blocks": (2, 2, 2, 2)}),
    "resnet20": ("resnet.cifar_resnet", {"depth": 20}),
    "resnet26": ("resnet.cifar_resnet", {"depth": 26}),
    "resnet32": ("resnet.cifar_resnet", {"depth": 32}),
    "resnet38": ("resnet.cifar_resnet", {"depth": 38}),
    "resnet44": ("resnet.cifar_resnet", {"depth": 44}),
    "resnet50": ("resnet.preactivation_resnet", {"blocks": (3, 4, 6, 3), "bottleneck": True}),
    "resnet50_cifar": ("resnet.cifar_resnet", {"depth": 50}),
    "resnet56": ("resnet.cifar_resnet", {"depth": 56}),
    "vgg11": ("vgg11.vgg11", {}),
}


def names() -> tuple[str, ...]:
    """Names that `get` knows."""
    return tuple(_NETWORKS)


def get(name: str) -> Callable[..., Any]:
    """Returns the function that builds a network.

    Its arguments are the Keras to build with and, by keyword, `image_size`, `num_classes` and `width`; additional
    arguments of a network are documented at its function.

    Raises:
        ValueError: If the name is unknown; from the function, if a size or a width is not positive.
        TypeError: From the function, if its first argument is not a Keras.

    Example:
        >>> model = tfmp.networks.get("resnet20")(keras, width=0.5)
    """
    path, arguments = _NETWORKS[check_choice("name", name, _NETWORKS)]
    file, function = path.split(".")
    build = functools.partial(getattr(importlib.import_module(f"{__name__}.{file}"), function), **arguments)

    @functools.wraps(build)
    def checked(keras, **options):
        check_keras(keras)
        for key in ("image_size", "num_classes"):
            if key in options:
                check_integer(key, options[key], at_least=1, where=f"Network `{name}`")
        if "width" in options:
            check_number("width", options["width"], above=0, where=f"Network `{name}`")
        return build(keras, **options)

    return checked
