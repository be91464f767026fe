"""Networks as `build(keras, ...)`, one a file, for any Keras."""

import importlib
import pkgutil

from tfmp.types.checks import check_choice


def names() -> tuple[str, ...]:
    """Names that `get` knows, those of the files here."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def get(name):
    """Returns the `build` function of a network.

    Raises:
        ValueError: If the name is unknown.
    """
    return importlib.import_module(f"{__name__}.{check_choice('name', name, names())}").build
