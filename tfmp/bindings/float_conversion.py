"""Converts calls of single layers to operators in floating point, with TensorFlow's converter."""

import contextlib
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import absl.logging
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from tfmp.annotations import KerasModel
from tfmp.bindings.float_weights import round_weights, with_codes
from tfmp.bindings.layer_variables import assign_weights
from tfmp.bindings.model_builder import LayerBuilder
from tfmp.graph import Call, Graph, map_references
from tfmp.graph.float_network import FloatNetwork, FloatOperator, FloatTensor
from tfmp.operators.float_layer import HALF_TYPES, number_type
from tfmp.operators.fold_error import FoldError
from tfmp.operators.writing.sink import TENSOR_TYPES

_KINDS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_OPTIONS = {value: name for name, value in vars(schema.BuiltinOptions).items() if isinstance(value, int)}
_TYPES = {getattr(schema.TensorType, dtype.upper()): dtype for dtype in TENSOR_TYPES}
_WAY_OUT = (
    "Replace the layer, or omit it from the model that is exported; if it computes what a known layer computes, say so "
    "with `tfmp.register_layer`."
)


def call_model(framework: Any, graph: Graph, call: Call) -> KerasModel:
    """Builds a model of one call of a layer, with the layer's weights, rounded to 8 bits if large, in single precision.

    Its inputs are a list of the distinct tensors that the call reads, its outputs a list of all that it computes.
    Recurrent layers are unrolled.

    Args:
        framework: The `tfmp.bindings.framework.Framework` of the graph.
        graph: The graph.
        call: The call.

    Raises:
        FoldError: If the layer gives later layers a mask.
    """
    layer, tensors = graph.layer_of(call), graph.tensors
    origin = dataclasses.replace(layer.origin, config=_unrolled(layer.origin.config))
    if any(tensors[name].dtype in HALF_TYPES for name in (*call.inputs, *call.outputs)):
        origin = origin.replace_config(dtype="float32")
    graph = graph.replace_layers({layer.name: dataclasses.replace(layer, origin=origin)})
    builder = LayerBuilder(graph, framework)
    operation = builder.layer(layer.name)
    inputs = {
        name: framework.make_input(dataclasses.replace(tensors[name], dtype=number_type(tensors[name].dtype)))
        for name in dict.fromkeys(call.inputs)
    }
    args, kwargs = map_references((call.args, dict(call.kwargs)), lambda reference: inputs[reference.name])
    outputs = framework.tree.flatten(operation(*args, **kwargs))
    # Neither Keras has a public way to see the mask of a symbolic tensor.
    if any(getattr(output, "_keras_mask", None) is not None for output in outputs):
        raise FoldError(
            layer.name,
            "it gives later layers a mask, which a file does not pass on",
            "Build it without a mask, and give the mask to the layers that need it as a tensor.",
        )
    records = {name: graph.layers[name] for name in builder.built if name in graph.layers}
    is_read = any(record.weights for record in records.values())
    for name, record in records.items():
        if is_read:  # a layer whose variables are all shared has none of its own
            assign_weights(framework, builder.built[name], record.weights, record.shared)
        else:
            _randomize(framework, builder.built[name])
        round_weights(framework, builder.built[name])
    return framework.package.Model(list(inputs.values()), outputs)


def _randomize(framework: Any, layer: Any) -> None:
    """Sets the numbers of a layer that was read without weights; the converter omits what zeros and ones compute."""
    rng = np.random.default_rng(0)
    for variable in framework.variables_by_path(layer).values():
        if "float" in str(variable.dtype):
            variable.assign(rng.uniform(0.5, 1.5, tuple(variable.shape)))


def _unrolled(config: Any) -> Any:
    """Returns a configuration whose recurrent layers compute their steps one by one, without a loop."""
    if isinstance(config, Mapping):
        return {key: True if key == "unroll" else _unrolled(value) for key, value in config.items()}
    return config


def converted_call(framework: Any, graph: Graph, call: Call, batch_size: int) -> FloatNetwork:
    """Returns the operators that compute a call of a layer, with the layer's weights as constants.

    Args:
        framework: The `tfmp.bindings.framework.Framework` of the graph.
        graph: The graph; without weights, the constants are random.
        call: The call.
        batch_size: Size of the free first axis.

    Raises:
        FoldError: If the runtime has no operator for what the layer computes, or the layer changes its variables or
            gives later layers a mask.
    """
    names = tuple(dict.fromkeys(call.inputs))
    specifications = [_specification(graph, call, name, batch_size) for name in names]
    try:
        model = call_model(framework, graph, call)
        # Keras converts the code of layers itself where it must.
        function = tf.function(lambda *tensors: tf.nest.flatten(model(list(tensors), training=False)), autograph=False)
        concrete = function.get_concrete_function(*specifications)
    except FoldError:
        raise
    except Exception as error:  # the user's code may raise any exception
        clause = f"it cannot be called alone: {_first_line(error)}"
        raise FoldError(call.layer, clause, _WAY_OUT) from error
    changed = sorted({each.type for each in concrete.graph.get_operations() if each.type.startswith("Assign")})
    if changed:
        raise FoldError(
            call.layer, "it changes its variables at inference, which a file cannot", "Build it without a state."
        )
    try:
        content = converted(concrete)
    except MissingOperatorError as error:
        raise FoldError(call.layer, f"it has no operators in the runtime: {error.in_words}", _WAY_OUT) from error
    return with_codes(_network(schema.ModelT.InitFromPackedBuf(content, 0), call.layer))


class MissingOperatorError(ValueError):
    """Says which operations of a function the runtime does not have.

    Args:
        places: The operations, each with the name of its place in the function; empty if the converter does not tell.
        in_words: The operations, or what the converter says.
    """

    def __init__(self, places: str, in_words: str):
        super().__init__(places or in_words)
        self.places, self.in_words = places, in_words


def converted(function: Any) -> bytes:
    """Returns the bytes of a TFLite file for a concrete function.

    Raises:
        MissingOperatorError: If the runtime has no operator for something in it.
    """
    # Without a tracked object, the converter freezes the function and keeps the order of inputs and outputs.
    try:
        with _quiet():
            return tf.lite.TFLiteConverter.from_concrete_functions([function]).convert()
    except Exception as error:  # the converter's own class is not public
        kinds = [
            kind
            for found in re.findall(r"^(?:Custom|TF Select) ops: (.+)$", str(error), re.M)
            for kind in found.split(", ")
        ]
        places = [
            f"{operation.type} of {operation.name}"
            for operation in function.graph.get_operations()
            if operation.type in kinds
        ]
        raise MissingOperatorError("; ".join(places), ", ".join(sorted(set(kinds))) or _first_line(error)) from error


@contextlib.contextmanager
def _quiet():
    """Silences the warning of TensorFlow about the deprecated, but only, way to convert without a tracked object."""
    level = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        yield
    finally:
        absl.logging.set_verbosity(level)


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0]


def _specification(graph, call, name, batch_size):
    size, *sizes = graph.tensors[name].shape
    if None in sizes:
        raise FoldError(
            call.layer,
            f"its input of shape {graph.tensors[name].shape} has a free size, where in a file only that of the batch "
            "can be",
            "Give the model a fixed input shape.",
        )
    return tf.TensorSpec((size or batch_size, *sizes), number_type(graph.tensors[name].dtype))


def _network(model, layer):
    subgraph, *others = model.subgraphs
    kinds = [_kind(code) for code in model.operatorCodes]
    if others:
        raise FoldError(
            layer,
            "it has a loop or a branch, which the file of a quantized model does not hold",
            "Compute its steps one by one; recurrent layers of Keras are unrolled.",
        )
    tensors = [_tensor(model, tensor, layer) for tensor in subgraph.tensors]
    operators = [_operator(kinds, model.operatorCodes, each, layer) for each in subgraph.operators]
    return FloatNetwork(tensors, operators, _positions(subgraph.inputs), _positions(subgraph.outputs))


def _kind(code):
    return _KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]


def _positions(indices):
    return tuple(map(int, indices)) if indices is not None else ()


def _tensor(model, tensor, layer):
    if tensor.type not in _TYPES:
        name = next(name for name, value in vars(schema.TensorType).items() if value == tensor.type)
        raise FoldError(layer, f"it computes numbers of type {name}, which a file of tfmp does not hold", _WAY_OUT)
    dtype, shape = _TYPES[tensor.type], () if tensor.shape is None else tuple(map(int, tensor.shape))
    content = model.buffers[tensor.buffer].data
    if content is None or not len(content):
        return FloatTensor(shape, dtype)
    return FloatTensor(shape, dtype, np.frombuffer(np.asarray(content).tobytes(), dtype).reshape(shape))


def _operator(kinds, codes, operator, layer):
    kind, options = kinds[operator.opcodeIndex], operator.builtinOptions
    if kind == "CUSTOM" or operator.builtinOptions2 is not None:
        name = codes[operator.opcodeIndex].customCode or kind
        raise FoldError(layer, f"it needs the operator {name}, which the runtime does not have by itself", _WAY_OUT)
    return FloatOperator(
        kind,
        codes[operator.opcodeIndex].version,
        _positions(operator.inputs),
        _positions(operator.outputs),
        "" if options is None else _OPTIONS[operator.builtinOptionsType],
        {} if options is None else _fields(options),
    )


def _fields(options: Any) -> dict[str, Any]:
    """Returns the fields of options that differ from their defaults, by the names that the schema has."""
    defaults = vars(type(options)())
    fields = {}
    for name, value in vars(options).items():
        value = tuple(map(int, value)) if isinstance(value, np.ndarray | list) else value
        if value is not None and value != defaults[name]:
            fields[re.sub("([A-Z])", r"_\1", name).lower()] = value
    return fields
