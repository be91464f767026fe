"""Networks as `build(keras, ...)`, one a file, for any Keras."""

import importlib
import pkgutil


def names() -> tuple[str, ...]:
    """Names that `get` knows, those of the files here."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def get(name):
    """Returns the `build` function of a network.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in names():
        raise ValueError(f"A network must be one of {', '.join(names())}. Received: {name!r}")
    return importlib.import_module(f"{__name__}.{name}").build
