"""Packs the weights of a floating-point file."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.tflite.writer.packing import packed_codes

_TYPES = {2: schema.TensorType.INT2, 4: schema.TensorType.INT4, 8: schema.TensorType.INT8}
_VERSION = 6  # version of DEQUANTIZE with INT4 and INT2
# The converter multiplies normalizations and steps into weights, with one rounding each.
_TOLERANCE = 4 * np.finfo(np.float32).eps
_BYTES_OF_SCALE, _BYTES_OF_ZERO_POINT = 4, 8
_BYTES_OF_OPERATOR = 240  # including a tensor, its name and its quantization


def pack_weights(model: schema.ModelT, codes: dict[str, np.ndarray]) -> None:
    """Replaces constants that are integer codes times a factor, or one per channel, by codes and DEQUANTIZE.

    A constant is replaced if every number equals the product to within 4 units in the last place, for the codes of any
    layer, and if the file becomes smaller. Replaced constants are named `<layer>/kernel`; others do not change.

    Args:
        model: A file, changed in place.
        codes: INT8 codes by layer name, in the layout of the layer's kernel.
    """
    subgraph = model.subgraphs[0]
    operators, channel_counts = [], set()
    for index, tensor in enumerate(list(subgraph.tensors)):
        content = model.buffers[tensor.buffer].data
        if tensor.type != schema.TensorType.FLOAT32 or content is None or not len(content):
            continue
        match = _find(np.asarray(content).view(np.float32).reshape(tensor.shape), codes)
        if match is None:
            continue
        name, integers, scales, axis = match
        tensor.name = f"{name}/kernel"
        _name_biases(subgraph, index, f"{name}/bias")
        bits = next(b for b in (2, 4, 8) if -(2 ** (b - 1)) <= integers.min() and integers.max() < 2 ** (b - 1))
        packed = packed_codes(integers, bits)
        # Equal vectors of zero points are stored once.
        per_channel = _BYTES_OF_SCALE + (0 if len(scales) in channel_counts else _BYTES_OF_ZERO_POINT)
        if len(packed) + per_channel * len(scales) + _BYTES_OF_OPERATOR >= len(content):
            continue
        channel_counts.add(len(scales))
        subgraph.tensors.append(_integers(tensor, _TYPES[bits], scales, axis, buffer=len(model.buffers)))
        model.buffers.append(schema.BufferT(np.frombuffer(packed, np.uint8)))
        operators.append(_dequantize(len(subgraph.tensors) - 1, index, code=len(model.operatorCodes)))
        tensor.name, tensor.buffer = f"{name}/numbers", 0
    if operators:
        model.operatorCodes.append(_operator_code())
        subgraph.operators = [*operators, *subgraph.operators]
        _drop_unused(model)


def _find(values, codes):
    """Returns layer, codes in the layout of a constant, scales and their axis; None if no layer matches."""
    for name, kernel in codes.items():
        for integers, axis in _layouts(kernel):
            if integers.shape == values.shape:
                products = _as_products(values, integers, axis)
                if products is not None:
                    return name, *products, axis
    return None


def _layouts(kernel):
    """Yields a kernel in the layouts of the runtime's operators, with the axis of its output channels."""
    if kernel.ndim == 2:
        yield kernel.T, 0
        yield kernel, 1
    elif kernel.ndim == 3:
        yield kernel.transpose(2, 0, 1)[:, None], 0
    elif kernel.ndim == 4:
        height, width, inputs, outputs = kernel.shape
        yield kernel.transpose(3, 0, 1, 2), 0
        yield kernel.reshape(1, height, width, inputs * outputs), 3  # depthwise
        yield kernel.transpose(2, 0, 1, 3), 0  # transposed convolution
        if height == width == 1:
            yield kernel[0, 0].T, 0


def _as_products(values, codes, axis):
    """Returns `(codes, scales)` with `values = codes * scales`, one scale or one per slice of the axis; or None."""
    others = tuple(number for number in range(values.ndim) if number != axis)
    # A normalization can set a channel to zero.
    codes = np.where(np.any(values != 0, axis=others, keepdims=True), codes, 0).astype(np.int8)
    if not np.array_equal(values != 0, codes != 0) or not codes.any():
        return None
    ratios = np.divide(values, codes, out=np.zeros(values.shape), where=codes != 0)
    for axes in (None, others):
        count = np.count_nonzero(codes, axis=axes, keepdims=True)
        scales = (ratios.sum(axis=axes, keepdims=True) / np.maximum(count, 1)).astype(np.float32)
        scales = np.where(count == 0, np.float32(1), scales)
        if np.all(np.abs(codes * scales - values) <= _TOLERANCE * np.abs(values)):
            return codes * np.sign(scales).astype(np.int8), np.abs(scales).reshape(-1)
    return None


def _name_biases(subgraph, kernel, name):
    for operator in subgraph.operators:
        inputs = list(operator.inputs)
        if len(inputs) > 2 and inputs[1] == kernel and inputs[2] >= 0:
            subgraph.tensors[inputs[2]].name = name


def _integers(like, dtype, scales, axis, *, buffer):
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = like.name, like.shape, dtype, buffer
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = scales
    tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
    tensor.quantization.quantizedDimension = axis
    return tensor


def _dequantize(source, target, *, code):
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs, operator.outputs = np.array([source], np.int32), np.array([target], np.int32)
    operator.builtinOptionsType, operator.builtinOptions = (
        schema.BuiltinOptions.DequantizeOptions,
        schema.DequantizeOptionsT(),
    )
    return operator


def _operator_code():
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = _VERSION
    return code


def _drop_unused(model):
    """Empties buffers without references."""
    used = {tensor.buffer for subgraph in model.subgraphs for tensor in subgraph.tensors}
    used.update(entry.buffer for entry in model.metadata or [])
    for index, buffer in enumerate(model.buffers):
        if index not in used:
            buffer.data = None
