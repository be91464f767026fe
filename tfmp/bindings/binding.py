"""Which binding serves a model."""

import importlib

_BINDINGS = {"keras": "tfmp.bindings.keras3.graph", "tf_keras": "tfmp.bindings.keras2.graph"}


def of(model):
    """Returns the module with `read`, `write` and `tensor_model` for the model's framework.

    Raises:
        TypeError: If it is no model of a known framework.
    """
    frameworks = {base.__module__.split(".")[0] for base in type(model).__mro__}
    for framework in _BINDINGS:
        if framework in frameworks:
            return named(framework)
    raise TypeError(f"Expected a Keras model. Received: {type(model).__name__}")


def named(framework):
    """Returns the module that serves a framework, `Graph.framework` for example."""
    return importlib.import_module(_BINDINGS[framework])
