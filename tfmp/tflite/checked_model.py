"""Reads a TFLite file whose parts fit together, before a runtime that trusts them loads it."""

import math
from collections.abc import Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.reports import FileTensor
from tfmp.tflite.writer.packing import text_of, unpack
from tfmp.tflite.writer.write_tflite import SIGNATURE

_TYPES = schema.TensorType
_KINDS = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_BITS = {
    **dict.fromkeys((_TYPES.FLOAT64, _TYPES.INT64, _TYPES.UINT64, _TYPES.COMPLEX64), 64),
    **dict.fromkeys((_TYPES.FLOAT32, _TYPES.INT32, _TYPES.UINT32), 32),
    **dict.fromkeys((_TYPES.FLOAT16, _TYPES.BFLOAT16, _TYPES.INT16, _TYPES.UINT16), 16),
    **dict.fromkeys((_TYPES.INT8, _TYPES.UINT8, _TYPES.BOOL), 8),
    _TYPES.INT4: 4,
    _TYPES.INT2: 2,
    _TYPES.COMPLEX128: 128,
}
_TYPE_NAMES = {code: name for name, code in vars(_TYPES).items() if isinstance(code, int)}
_CODES = {_TYPES.INT8: np.int8, _TYPES.UINT8: np.uint8, _TYPES.INT16: np.int16}
_WITHOUT_OUTPUT = ("ASSIGN_VARIABLE", "CALL_ONCE", "HASHTABLE_IMPORT")
_RESCALED = ("ADD", "SUB", "QUANTIZE")
_MAX_RATIO = 2**18  # of scales of an operator that rescales its inputs; it aborts before twice as much
_MAX_BYTES = 2**32  # of one tensor; a damaged shape asks for more memory than there is
# Operators with the type of their input in their output, and the number of inputs that it holds for.
_SAME_TYPE = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE"), 2),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "SUM"), 1),
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "LOGISTIC", "TANH", "HARD_SWISH"), 1),
    **dict.fromkeys(("RESHAPE", "PAD", "PADV2", "TRANSPOSE", "STRIDED_SLICE", "SLICE", "RESIZE_BILINEAR"), 1),
    **dict.fromkeys(("RESIZE_NEAREST_NEIGHBOR", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "SQUEEZE", "EXPAND_DIMS"), 1),
}
# Operators that divide by each number of their options that has such a name.
_WINDOWS = {
    "CONV_2D": schema.Conv2DOptionsT,
    "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
    "AVERAGE_POOL_2D": schema.Pool2DOptionsT,
    "MAX_POOL_2D": schema.Pool2DOptionsT,
    "L2_POOL_2D": schema.Pool2DOptionsT,
    "TRANSPOSE_CONV": schema.TransposeConvOptionsT,
}
_DIVISORS = ("stride", "filter", "dilation")


def checked_model(content: bytes, label: str) -> schema.ModelT:
    """Reads a file and checks that its parts fit together; on some that do not, a runtime ends the process.

    Checked are the references between tensors, buffers and operators, the sizes of constants, the scales, and the types
    and windows of common operators.

    Args:
        content: Bytes of the file.
        label: Name of the file in errors.

    Returns:
        The file as an object of the schema.

    Raises:
        ValueError: If it is truncated, damaged or not a TFLite file.
    """
    try:
        model = unpack(content)
        fault = next(_faults(model), None)
    except Exception as error:  # the generated reader fails in many ways where offsets point anywhere
        fault = f"it cannot be read: {type(error).__name__}"
        raise _error(label, content, fault) from error
    if fault is not None:
        raise _error(label, content, fault)
    return model


def own_signature(model: schema.ModelT, label: str) -> schema.SignatureDefT:
    """Returns the signature of a file of tfmp.

    Args:
        model: The file.
        label: Name of the file in errors.

    Raises:
        ValueError: If it has no such signature.
    """
    signatures = {text_of(each.signatureKey): each for each in model.signatureDefs or ()}
    if SIGNATURE not in signatures:
        raise ValueError(
            f"Expected a TFLite file with the signature {SIGNATURE!r}. Received: {label} with signatures "
            f"{sorted(signatures)}. Export the model again."
        )
    return signatures[SIGNATURE]


def file_tensor(tensor: schema.TensorT) -> FileTensor:
    """Returns the description of a tensor that a file takes or computes."""
    shape, dtype = _integers(tensor.shape), _TYPE_NAMES[tensor.type].lower()
    parameters = tensor.quantization
    if parameters is None or parameters.scale is None or not len(parameters.scale):
        return FileTensor(shape, dtype)
    return FileTensor(shape, dtype, float(parameters.scale[0]), next(iter(_integers(parameters.zeroPoint)), 0))


def _error(label: str, content: bytes, fault: str) -> ValueError:
    return ValueError(
        f"Expected a complete TFLite file. Received: {label}, {len(content)} bytes; copy or export it again. What is "
        f"wrong: {fault}."
    )


def _faults(model: schema.ModelT) -> Iterator[str]:
    kinds = [_KINDS.get(max(code.builtinCode, code.deprecatedBuiltinCode)) for code in model.operatorCodes or ()]
    if not model.subgraphs or not model.buffers:
        yield "it has no subgraph or no buffer"
    if None in kinds:
        yield "an operator is of no known kind"
    for subgraph in model.subgraphs:
        count = len(subgraph.tensors or ())
        for number, tensor in enumerate(subgraph.tensors or ()):
            yield from (f"tensor {number} has {fault}" for fault in _tensor_faults(tensor, model.buffers))
        for indices in (subgraph.inputs, subgraph.outputs):
            if not _are_within(indices, 0, count):
                yield "an input or output of a subgraph is no tensor of it"
        for number, operator in enumerate(subgraph.operators or ()):
            if not 0 <= operator.opcodeIndex < len(kinds):
                yield f"operator {number} is of no known kind"
            if not _are_within(operator.inputs, -1, count) or not _are_within(operator.outputs, 0, count):
                yield f"operator {number} reads or writes a tensor that does not exist"
            kind = kinds[operator.opcodeIndex]
            faults = _operator_faults(kind, operator, subgraph.tensors)
            yield from (f"operator {number}, {kind}, has {fault}" for fault in faults)
    if not all(0 <= entry.buffer < len(model.buffers) for entry in model.metadata or ()):
        yield "its metadata are in no buffer"
    for signature in model.signatureDefs or ():
        subgraph = model.subgraphs[signature.subgraphIndex]
        for entry in (*(signature.inputs or ()), *(signature.outputs or ())):
            if not 0 <= entry.tensorIndex < len(subgraph.tensors):
                yield "a signature names a tensor that does not exist"


def _are_within(indices, lowest, count):
    return all(lowest <= index < count for index in _integers(indices))


def _integers(vector):
    """Returns the numbers of a vector, which a file omits if it is empty."""
    return () if vector is None else tuple(map(int, vector))


def _tensor_faults(tensor, buffers):
    shape = _integers(tensor.shape)
    bits = _BITS.get(tensor.type)
    if tensor.type not in _TYPE_NAMES:
        yield f"the unknown type {tensor.type}"
    if not 0 <= tensor.buffer < len(buffers):
        yield f"the buffer {tensor.buffer} of {len(buffers)}"
    if any(size < 0 for size in shape) or math.prod(shape) * (bits or 8) > 8 * _MAX_BYTES:
        yield f"the shape {shape}"
    data = buffers[tensor.buffer].data
    if bits and data is not None and len(data) and tensor.sparsity is None:
        needed = -(-math.prod(shape) * bits // 8)
        if len(data) != needed:
            yield f"{len(data)} bytes for its {needed}"
    yield from _quantization_faults(tensor, shape)


def _quantization_faults(tensor, shape):
    quantization = tensor.quantization
    scales = getattr(quantization, "scale", None)
    if scales is None or not len(scales):
        return
    if not (np.isfinite(scales) & (scales >= 0)).all() or (tensor.type in _CODES and not np.all(scales)):
        yield "a scale that is not a positive number"
    zero_points = _integers(quantization.zeroPoint)
    limits = np.iinfo(_CODES.get(tensor.type, np.int64))
    if len(zero_points) not in (0, 1, len(scales)):
        yield f"{len(scales)} scales and {len(zero_points)} zero points"
    if not all(limits.min <= point <= limits.max for point in zero_points):
        yield "a zero point that its type does not hold"
    axis = quantization.quantizedDimension
    if len(scales) > 1 and not (0 <= axis < len(shape) and len(scales) == shape[axis]):
        yield f"{len(scales)} scales for the shape {shape}"


def _operator_faults(kind, operator, tensors):
    inputs, outputs = _integers(operator.inputs), _integers(operator.outputs)
    if not outputs and kind not in _WITHOUT_OUTPUT:
        yield "no output"
    if kind in _WINDOWS:
        options = operator.builtinOptions
        if not isinstance(options, _WINDOWS[kind]):
            yield "no options, or those of another operator"
        divisors = {name: value for name, value in vars(options).items() if name.startswith(_DIVISORS)}
        if min(divisors.values()) < 1:
            yield f"an option below 1: {divisors}"
    if kind in _SAME_TYPE:
        if len(inputs) < _SAME_TYPE[kind] or min(inputs[: _SAME_TYPE[kind]]) < 0 or len(outputs) != 1:
            yield f"{len(inputs)} inputs and {len(outputs)} outputs"
        ends = [tensors[index] for index in (*inputs[: _SAME_TYPE[kind]], *outputs)]
        if len({(tensor.type, _has_scale(tensor)) for tensor in ends}) > 1:
            yield f"inputs and outputs of unequal types: {[_TYPE_NAMES[tensor.type] for tensor in ends]}"
    if kind in _RESCALED:
        *read, written = [tensors[index] for index in (*inputs, *outputs)]
        if any(_has_scale(written) and _scale(tensor) > _MAX_RATIO * _scale(written) for tensor in read):
            yield "an input whose scale is far larger than that of its output"


def _scale(tensor):
    return float(tensor.quantization.scale[0]) if _has_scale(tensor) else 0.0


def _has_scale(tensor):
    """Returns True for codes with a scale; the scale of other types has no effect."""
    scales = getattr(tensor.quantization, "scale", None)
    return tensor.type in _CODES and scales is not None and len(scales) > 0
