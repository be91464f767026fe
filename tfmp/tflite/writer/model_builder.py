"""Assembles the flatbuffer of a TFLite model."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.tflite.writer.packing import pack, packed_codes

SCHEMA_VERSION = 3

_TENSOR_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "bool": schema.TensorType.BOOL,
}
TYPE_CODES = _TENSOR_TYPES
_PACKED_TYPES = {4: schema.TensorType.INT4, 2: schema.TensorType.INT2}


@dataclasses.dataclass(frozen=True)
class Quantization:
    """How stored integers stand for numbers: `value = (stored - zero_point) * scale`.

    Args:
        scales: One float32 number, or one per slice of `axis`.
        zero_point: The same for all slices.
        axis: What `scales` runs over.
    """

    scales: tuple[float, ...]
    zero_point: int = 0
    axis: int = 0


class ModelBuilder:
    """Collects buffers, tensors and operators of one subgraph and packs them into the bytes of a file.

    Equal constants share a tensor, and tensors of equal content share a buffer.
    """

    def __init__(self):
        self._buffers = [schema.BufferT()]  # Buffer 0 is empty: the schema gives it to tensors without content.
        self._buffer_index = {}
        self._constant_index = {}
        self._tensors = []
        self._operator_codes = []
        self._operator_code_index = {}
        self._operators = []

    def tensor(self, name: str, shape: Sequence[int], *, dtype: str, quantization: Quantization | None = None) -> int:
        """Adds a tensor that an operator computes or the caller feeds. Returns its index."""
        return self._add_tensor(name, shape, _TENSOR_TYPES[dtype], quantization, buffer=0)

    def constant(
        self, name: str, values: np.ndarray, *, quantization: Quantization | None = None, packed_bits: int | None = None
    ) -> int:
        """Adds a constant tensor, or finds the one that holds the same. Returns its index.

        Args:
            name: Of the tensor.
            values: Its content.
            quantization: What its content stands for.
            packed_bits: 4 or 2 for integers that take so many bits each.
        """
        values = np.ascontiguousarray(values)
        key = (values.dtype.name, values.shape, values.tobytes(), quantization, packed_bits)
        if key not in self._constant_index:
            dtype = _PACKED_TYPES.get(packed_bits, _TENSOR_TYPES.get(values.dtype.name))
            buffer = self._buffer(packed_codes(values, packed_bits) if packed_bits else key[2])
            self._constant_index[key] = self._add_tensor(name, values.shape, dtype, quantization, buffer)
        return self._constant_index[key]

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        *,
        version: int,
        options: object | None = None,
    ) -> None:
        """Appends an operator.

        Args:
            kind: Name in the schema's `BuiltinOperator`, `"CONV_2D"` for instance.
            inputs: Indices of tensors.
            outputs: Indices of tensors.
            version: The operator's version in the schema.
            options: Object of the schema, `Conv2DOptionsT` for instance.
        """
        operator = schema.OperatorT()
        operator.opcodeIndex = self._operator_code(kind, version)
        operator.inputs = np.asarray(inputs, np.int32)
        operator.outputs = np.asarray(outputs, np.int32)
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
            operator.builtinOptions = options
        self._operators.append(operator)

    def finish(
        self,
        name: str,
        *,
        signatures: Mapping[str, tuple[Mapping[str, int], Mapping[str, int]]],
        description: str = "",
    ) -> bytes:
        """Packs everything.

        Args:
            name: Name of the subgraph.
            signatures: By name, the tensors of its inputs and of its outputs by their names. The first one has all
                inputs; the runtime keeps the outputs of all of them readable.
            description: For humans.

        Returns:
            The bytes of the file.
        """
        subgraph = schema.SubGraphT()
        subgraph.name = name
        subgraph.tensors = self._tensors
        subgraph.operators = self._operators
        inputs, _ = next(iter(signatures.values()))
        subgraph.inputs = np.array(list(inputs.values()), np.int32)
        outputs = dict.fromkeys(index for _, outputs in signatures.values() for index in outputs.values())
        subgraph.outputs = np.array(list(outputs), np.int32)

        model = schema.ModelT()
        model.version = SCHEMA_VERSION
        model.description = description
        model.operatorCodes = self._operator_codes
        model.subgraphs = [subgraph]
        model.signatureDefs = [_signature(name, *tensors) for name, tensors in signatures.items()]
        model.buffers = self._buffers
        return pack(model)

    def _add_tensor(self, name, shape, dtype, quantization, buffer):
        tensor = schema.TensorT()
        tensor.name = name
        tensor.shape = np.asarray(shape, np.int32)
        tensor.type = dtype
        tensor.buffer = buffer
        if quantization is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.asarray(quantization.scales, np.float32)
            tensor.quantization.zeroPoint = np.full(len(quantization.scales), quantization.zero_point, np.int64)
            tensor.quantization.quantizedDimension = quantization.axis
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _buffer(self, content):
        if content not in self._buffer_index:
            self._buffer_index[content] = len(self._buffers)
            self._buffers.append(schema.BufferT(np.frombuffer(content, np.uint8)))
        return self._buffer_index[content]

    def _operator_code(self, kind, version):
        if (kind, version) not in self._operator_code_index:
            code = schema.OperatorCodeT()
            code.builtinCode = getattr(schema.BuiltinOperator, kind)
            # The old field holds codes below 127, which stands for all others.
            code.deprecatedBuiltinCode = min(code.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
            code.version = version
            self._operator_code_index[kind, version] = len(self._operator_codes)
            self._operator_codes.append(code)
        return self._operator_code_index[kind, version]


def _signature(name, inputs, outputs):
    signature = schema.SignatureDefT()
    signature.signatureKey = name
    signature.subgraphIndex = 0
    signature.inputs = [_tensor_map(name, index) for name, index in inputs.items()]
    signature.outputs = [_tensor_map(name, index) for name, index in outputs.items()]
    return signature


def _tensor_map(name, index):
    entry = schema.TensorMapT()
    entry.name = name
    entry.tensorIndex = index
    return entry
