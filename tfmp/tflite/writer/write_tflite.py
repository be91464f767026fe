"""Writes an `IntegerGraph` as the bytes of a TFLite file."""

from collections.abc import Mapping, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfmp.graph.integer_graph import IntegerGraph
from tfmp.graph.open_values import Constant
from tfmp.graph.targets import LITERT, Target
from tfmp.lowering.write_operations import write_operations
from tfmp.operators.writing.sink import TENSOR_TYPES, Options, Quantization, Sink
from tfmp.tflite.writer.packing import pack, packed_codes

SIGNATURE = "serving_default"


def write_tflite(
    graph: IntegerGraph,
    *,
    batch_size: int = 1,
    input_type: str = "float32",
    output_type: str = "float32",
    target: Target = LITERT,
    description: str = "",
) -> bytes:
    """Returns the bytes of a TFLite file that computes an integer network on INT8 codes.

    The signature `"serving_default"` has the graph's input names and output names.

    Args:
        graph: The network.
        batch_size: The fixed size of the first axis.
        input_type: `"float32"`, or `"int8"` or `"uint8"` to take codes, on the grid of the tensor's quantization.
            Integer and Boolean inputs keep their type.
        output_type: The same for outputs.
        target: The runtime that is to run it.
        description: Text in the file; the name of the graph if empty.

    Returns:
        The bytes of the file.

    Raises:
        ValueError: If an operation cannot be computed exactly on INT8; the message names it and the way out.

    Example:
        >>> content = write_tflite(graph, batch_size=8)
    """
    sink = FileSink()
    inputs, outputs = write_operations(
        graph, sink, batch_size=batch_size, input_type=input_type, output_type=output_type, target=target
    )
    return sink.finish(graph.name, signatures={SIGNATURE: (inputs, outputs)}, description=description or graph.name)


SCHEMA_VERSION = 3

_TYPE_CODES = {dtype: getattr(schema.TensorType, dtype.upper()) for dtype in TENSOR_TYPES}
_PACKED_TYPES = {4: schema.TensorType.INT4, 2: schema.TensorType.INT2}
# Fields of options that contain members of enumerations.
_ENUMERATIONS = {
    "padding": vars(schema.Padding),
    "fused_activation_function": vars(schema.ActivationFunctionType),
    **dict.fromkeys(("output_type", "in_data_type", "out_data_type"), _TYPE_CODES),
}


class FileSink(Sink):
    """Collects buffers, tensors and operators of one subgraph and packs them into the bytes of a file.

    Equal constants share a tensor, and tensors of equal content share a buffer.
    """

    def __init__(self):
        self._buffers = [schema.BufferT()]  # Buffer 0 is empty, for tensors without content.
        self._buffer_index = {}
        self._constant_index = {}
        self._tensors = []
        self._operator_codes = []
        self._operator_code_index = {}
        self._operators = []

    def tensor(self, name: str, shape: Sequence[int], *, dtype: str, quantization: Quantization | None = None) -> int:
        return self._add_tensor(name, shape, _TYPE_CODES[dtype], quantization, buffer=0)

    def constant(
        self, name: str, values: Constant, *, quantization: Quantization | None = None, packed_bits: int | None = None
    ) -> int:
        values = np.ascontiguousarray(values)
        key = (values.dtype.name, values.shape, values.tobytes(), quantization, packed_bits)
        if key not in self._constant_index:
            dtype = _PACKED_TYPES[packed_bits] if packed_bits else _TYPE_CODES.get(values.dtype.name)
            buffer = self._buffer(packed_codes(values, packed_bits) if packed_bits else key[2])
            self._constant_index[key] = self._add_tensor(name, values.shape, dtype, quantization, buffer)
        return self._constant_index[key]

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], *, version: int, options: Options | None = None
    ) -> None:
        operator = schema.OperatorT()
        operator.opcodeIndex = self._operator_code(kind, version)
        operator.inputs = np.asarray(inputs, np.int32)
        operator.outputs = np.asarray(outputs, np.int32)
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options.name)
            operator.builtinOptions = _options_table(options)
        self._operators.append(operator)

    def finish(
        self,
        name: str,
        *,
        signatures: Mapping[str, tuple[Mapping[str, int], Mapping[str, int]]],
        description: str = "",
    ) -> bytes:
        """Returns the bytes of the file.

        Args:
            name: Name of the subgraph.
            signatures: Maps the name of a signature to its input tensors by name and its output tensors by name. The
                first one has all inputs. The runtime keeps the outputs of all signatures readable.
            description: Text in the file.

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
            code.builtinCode = getattr(schema.BuiltinOperator, kind, schema.BuiltinOperator.CUSTOM)
            if code.builtinCode == schema.BuiltinOperator.CUSTOM:
                code.customCode = kind
            # The old field holds codes below 127; 127 means that the code is in the new field.
            code.deprecatedBuiltinCode = min(code.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
            code.version = version
            self._operator_code_index[kind, version] = len(self._operator_codes)
            self._operator_codes.append(code)
        return self._operator_code_index[kind, version]


def _options_table(options):
    """Returns options as an object of the schema."""
    table = getattr(schema, f"{options.name}T")()
    for name, value in options.fields.items():
        first, *others = name.split("_")
        value = _ENUMERATIONS[name][value] if isinstance(value, str) else value
        value = np.array(value, np.int32) if isinstance(value, tuple) else value
        setattr(table, first + "".join(map(str.title, others)), value)
    return table


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
