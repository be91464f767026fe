"""Finds the registered kind of a layer or its function, and checks it."""

from tfmp.bindings.check_claim import check_claim
from tfmp.bindings.custom_layers import registration
from tfmp.graph import Call, TensorRef
from tfmp.operators import TABLE
from tfmp.operators.operator import OTHER
from tfmp.operators.operator_table import activation_name, function_kind, recognize

_FUNCTIONS = {"Activation": "activation", "Lambda": "function", "TFOpLambda": "function"}
_RENAME = "Give it another name and register it with Keras under that, since Keras builds layers again by the name."


def claimed_kind(operation, config, call, tensors, framework):
    """Returns the registered kind and attributes of a layer, or None.

    Args:
        operation: The layer; of an `Activation`, a `Lambda` or a TensorFlow function, the function counts.
        config: Its configuration.
        call: Its first `Call`.
        tensors: The graph's tensors by name.
        framework: The package, `keras` or `tf_keras`.

    Raises:
        ValueError: If the layer computes something else.
    """
    subject, owner = f"Layer `{call.layer}` ({type(operation).__name__})", type(operation)
    claim = registration(owner, config, subject) or _of_operator(owner, config, call)
    if claim is None and _is_of(framework, owner) and owner.__name__ in _FUNCTIONS:
        owner = getattr(operation, _FUNCTIONS[owner.__name__])
        subject = f"{subject}: its function `{_name(owner)}`"
        claim = _of_function(owner, config, subject, framework)
    if claim is not None:
        weights = getattr(operation, "weights", ())
        own = {key: value for key, value in config.items() if key != "name"}
        subject = f"{subject} is registered as"
        check_claim(operation, call, tensors, claim, owner=owner, subject=subject, config=own, fixed=not weights)
    return claim


def claimed_activation(operation, config, call, tensors, framework):
    """Returns the same for the function that a layer applies to its own result, None if it is not registered.

    Raises:
        ValueError: If the function computes something else, or has the name of one of Keras that does.
    """
    function = getattr(operation, "activation", None)
    if not callable(function) or _name(function) is None:
        return None
    subject, way_out = f"Layer `{call.layer}`: its activation `{_name(function)}`", None
    claim = _of_function(function, config, subject, framework)
    said = claim
    if claim is None:
        name = activation_name(config)
        said = function_kind(name, framework.__name__)
        if said is None or TABLE[said[0]].values is None or getattr(framework.activations, name, None) is function:
            return None
        way_out = _RENAME
    # An `Activation` computes only the function, so its input can be used instead of its result.
    applied = Call(call.layer, (TensorRef(call.outputs[0]),), {}, ())
    subject = f"{subject} is {'registered as' if claim else 'by its name the kind'}"
    check_claim(function, applied, tensors, said, owner=function, subject=subject, way_out=way_out)
    return claim


def _of_operator(layer_class, config, call):
    """The same for a class that an operator names by itself; one that says what it computes is compared with that."""
    kind, attributes = recognize(layer_class, config, call=call)
    return None if kind == OTHER or TABLE[kind].values is None else (kind, attributes)


def _of_function(function, config, subject, framework):
    name = _name(function)
    registered = name and framework.saving.get_registered_name(function)
    return registration(function, config, subject) or registration(registered, config, subject)


def _name(function):
    return getattr(function, "__name__", None)


def _is_of(framework, layer_class):
    return layer_class.__module__.split(".")[0] == framework.__name__
