"""Compares layers and functions with the kinds that they are registered as, or named after, when a model is read."""

import sys

import numpy as np

from tfmp.bindings.custom_layers import registration
from tfmp.graph import Call, TensorRef, map_references
from tfmp.operators import TABLE
from tfmp.operators.operator import OTHER
from tfmp.operators.operator_table import activation_name, function_kind, recognize

_FUNCTIONS = {"Activation": "activation", "Lambda": "function", "TFOpLambda": "function"}
_RENAME = "Give it another name and register it with Keras under that, since Keras builds layers again by the name."


def claimed_kind(operation, config, call, tensors, framework):
    """Returns the registered kind and attributes of a layer, or None.

    Args:
        operation: The layer; for an `Activation`, a `Lambda` or a TensorFlow function, its function is compared.
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
        compared = {key: value for key, value in config.items() if key != "name"}
        subject = f"{subject} is registered as"
        check_claim(operation, call, tensors, claim, owner=owner, subject=subject, config=compared, fixed=not weights)
    return claim


def claimed_activation(operation, config, call, tensors, framework):
    """Returns the registered kind and attributes of the activation function of a layer, or None.

    Raises:
        ValueError: If the function computes something else, or has the name of a Keras function that does.
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
    # An `Activation` only computes the function, so its input can be used instead of its result.
    applied = Call(call.layer, (TensorRef(call.outputs[0]),), {}, ())
    subject = f"{subject} is {'registered as' if claim else 'by its name the kind'}"
    check_claim(function, applied, tensors, said, owner=function, subject=subject, way_out=way_out)
    return claim


def _of_operator(layer_class, config, call):
    """Returns the kind and attributes of a class that an operator names; compared if the operator has `values`."""
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


# Ranges of numbers in models: small weights, normalized values, sums over channels, pixels.
_REACHES = (0.1, 1.0, 10.0, 300.0)
_SMALLEST_COUNT = 1024  # values per input
_FREE_SIZE = 16  # for free sizes
_TOLERANCES = {"float16": 1e-2, "bfloat16": 3e-2}  # relative to the largest number at a reach
_TOLERANCE = 1e-3  # for other types
_WAY_OUT = (
    'Say what it computes, docs/layers.md lists the kinds; or do not register it, and export with `mode="float"`.'
)
_passed = set()


def check_claim(function, call, tensors, claim, *, owner, subject, config=None, fixed=True, way_out=None):
    """Compares a layer with its registered kind on random numbers.

    The numbers are uniform and of both signs, up to 0.1, 1, 10 and 300. At each reach, the largest difference may be
    0.1 % of the largest number that the kind returns (1 % in float16, 3 % in bfloat16). A result that is not finite
    counts as different, except at the largest reach. Each configuration is checked only once.

    Args:
        function: The layer, or the function that a layer applies to its result.
        call: Its `Call`.
        tensors: The graph's tensors by name, those of the call among them.
        claim: `(kind, attributes)`.
        owner: The class or the function that the claim is about.
        subject: Beginning of the error, before the kind: "Layer `a` (A) is registered as".
        config: Everything that the result depends on, in addition to the owner.
        fixed: False if the result also depends on other values, weights for example.
        way_out: The last sentence of errors; None for the default.

    Raises:
        ValueError: If it computes something else, or fails.
    """
    shapes = {name: (tensors[name].shape, tensors[name].dtype) for name in call.inputs}
    if any(dtype == "string" for _, dtype in shapes.values()):
        return
    with np.printoptions(threshold=sys.maxsize):
        key = owner, repr((claim, config, call.args, call.kwargs, shapes))
    if fixed and key in _passed:
        return
    kind, attributes = claim
    told = ", ".join(f"{name}={value!r}" for name, value in attributes.items())
    said = f"{subject} {kind!r}{f' with {told}' if told else ''}"
    precision = getattr(function, "compute_dtype", None)
    for reach in _REACHES:
        problem = _difference(function, call, _random_inputs(shapes, reach, precision), claim, reach)
        if problem:
            raise ValueError(f"{said}, but {problem}. {way_out or _WAY_OUT}")
    if fixed:
        _passed.add(key)


def _difference(function, call, arrays, claim, reach):
    """Returns in words how a layer differs from its kind on the given arrays; empty if it does not."""
    numbers = f"random numbers from -{reach:g} to {reach:g}"
    args, kwargs = map_references((call.args, dict(call.kwargs)), lambda reference: arrays[reference.name])
    if hasattr(function, "trainable"):  # a layer: only its inference is compared
        kwargs = {**kwargs, "training": False}
    kind, attributes = claim
    try:
        returned = function(*args, **kwargs)
    except Exception as error:
        return f"fails on {numbers}: {error}"
    if isinstance(returned, list | tuple | dict):
        return f"returns {len(returned)} tensors, not one"
    result = np.asarray(returned, np.float64)
    try:
        inputs = [np.asarray(arrays[name], np.float64) for name in call.inputs]
        expected = TABLE[kind].values(inputs, attributes, result.shape)
    except (TypeError, ValueError, IndexError) as error:
        return f"a layer of that kind does not accept these inputs: {error}"
    if result.shape != expected.shape:
        return f"returns the shape {result.shape}, not {expected.shape}"
    wrong = 0.0 if reach == _REACHES[-1] else np.inf
    difference = np.where(np.isfinite(result), np.abs(result - expected), wrong)
    types = (getattr(returned.dtype, "name", returned.dtype), *(str(array.dtype) for array in arrays.values()))
    tolerance = max(_TOLERANCES.get(name, _TOLERANCE) for name in types)
    if difference.max(initial=0) <= tolerance * np.abs(expected).max(initial=0):
        return ""
    worst = np.unravel_index(difference.argmax(), difference.shape)
    return (
        f"computes something else: on {numbers} the largest difference is {difference[worst]:.4g}, where it returns "
        f"{result[worst]:.4g} in place of {expected[worst]:.4g}"
    )


def _random_inputs(shapes, reach, precision):
    rng = np.random.default_rng(0)
    sizes = {
        name: tuple(_FREE_SIZE if size is None else size for size in shape[1:]) for name, (shape, _) in shapes.items()
    }
    smallest = min((int(np.prod(each)) for each in sizes.values()), default=1)
    free = max(2, -(-_SMALLEST_COUNT // max(smallest, 1)))
    return {
        name: _random((free if shape[0] is None else shape[0], *sizes[name]), dtype, reach, precision, rng)
        for name, (shape, dtype) in shapes.items()
    }


def _random(shape, dtype, reach, precision, rng):
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if "int" in dtype:
        low = 0 if dtype.startswith("u") else -int(min(max(reach, 2), 127))
        return rng.integers(low, int(min(max(reach, 2), 127)), shape, endpoint=True).astype(dtype)
    values = rng.uniform(-reach, reach, shape).astype(np.float32)
    if "bfloat16" in (dtype, precision):  # NumPy has no bfloat16: the upper half of a float32
        values = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
    elif "float16" in (dtype, precision):
        values = values.astype(np.float16)
    return values if dtype == "bfloat16" else values.astype(dtype)
