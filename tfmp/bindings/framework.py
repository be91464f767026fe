"""Which Keras a model is of."""

import importlib
import sys

from tfmp.checks import received

_BINDINGS = {"keras": "tfmp.bindings.keras3.graph", "tf_keras": "tfmp.bindings.keras2.graph"}
_WRAPPERS = "tensorflow_model_optimization"  # of tf_keras layers: a binding of their own reads them
_BINDING_OF_WRAPPERS = "tfmp.bindings.tfmot.graph"
_CALLBACKS = {"keras": "tfmp.MixedPrecisionSearch", "tf_keras": "tfmp.keras2.MixedPrecisionSearch"}


def framework_of(model, argument="model"):
    """Returns the module that serves a model: `read`, `write`, `layer`, `tensor_model`, `distilled`, `write_integer`.

    Args:
        model: The model.
        argument: What errors call it.

    Raises:
        TypeError: If it is no model of a known framework.
    """
    name = framework_name(model, argument)
    wrapped = name == "tf_keras" and _WRAPPERS in sys.modules and _has_wrappers(model)
    return importlib.import_module(_BINDING_OF_WRAPPERS) if wrapped else framework_named(name)


def framework_named(name):
    """Returns the module that serves a framework, `Graph.framework` for example."""
    return importlib.import_module(_BINDINGS[name])


def framework_name(model, argument="model"):
    """Returns the name of a model's framework, `"keras"` or `"tf_keras"`; arguments as of `framework_of`.

    Raises:
        TypeError: If it is no model of a known framework.
    """
    bases = {(base.__module__.split(".")[0], base.__name__) for base in type(model).__mro__}
    for framework in _BINDINGS:
        if (framework, "Model") in bases:
            return framework
    raise TypeError(f"`{argument}` must be a Keras model. Received: {received(model)}")


def check_callback(model, framework):
    """Raises `TypeError` that names the right callback if that of a framework was given a model of the other."""
    found = framework_name(model)
    if found != framework:
        raise TypeError(
            f"Expected a model of {framework}, as the callback `{_CALLBACKS[framework]}` is. Received: model "
            f"`{model.name}` of {found}. Give its `fit` the callback `{_CALLBACKS[found]}`."
        )


def _has_wrappers(model):
    return any(base.__module__.split(".")[0] == _WRAPPERS for child in model.submodules for base in type(child).__mro__)
