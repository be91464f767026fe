"""Runs a TFLite file, with its inner tensors readable."""

import functools
import os
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as schema

from tfmp.reports import FileTensor
from tfmp.tflite.checked_model import checked_model, own_signature
from tfmp.tflite.file_runner import FileRunner, read_file
from tfmp.tflite.writer.packing import pack, unpack
from tfmp.tflite.writer.write_tflite import SIGNATURE

TENSOR_SIGNATURE = "tensors"
_CODES = (schema.TensorType.INT8, schema.TensorType.UINT8)
_NUMBERS = schema.TensorType.FLOAT32


def with_readable_tensors(content: bytes) -> bytes:
    """Returns a file with a second signature, `"tensors"`, whose outputs are all tensors of codes or of new numbers.

    New numbers are those in floating point that no DEQUANTIZE computes from codes.

    XNNPACK keeps only tensors that are outputs. The same kernels compute them.

    Args:
        content: Bytes of a complete file with a signature for its first subgraph.
    """
    model = unpack(content)
    subgraph = model.subgraphs[0]
    dequantize = {number for number, code in enumerate(model.operatorCodes) if _is_dequantize(code)}
    computed, dequantized = set(map(int, subgraph.inputs)), set(map(int, subgraph.inputs))
    for operator in subgraph.operators:
        computed.update(map(int, operator.outputs))
        dequantized.update(map(int, operator.outputs) if operator.opcodeIndex in dequantize else ())
    tensors = {index: subgraph.tensors[index] for index in sorted(computed)}
    names = {
        tensor.name: index  # helper tensors of an operator have no name
        for index, tensor in tensors.items()
        if tensor.name and (_holds_codes(tensor) or (tensor.type == _NUMBERS and index not in dequantized))
    }
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = TENSOR_SIGNATURE, 0
    signature.inputs = model.signatureDefs[0].inputs
    signature.outputs = [_entry(name, index) for name, index in names.items()]
    model.signatureDefs.append(signature)
    subgraph.outputs = np.array(list(dict.fromkeys([*map(int, subgraph.outputs), *names.values()])), np.int32)
    return pack(model)


def _is_dequantize(code):
    return schema.BuiltinOperator.DEQUANTIZE in (code.builtinCode, code.deprecatedBuiltinCode)


def _holds_codes(tensor):
    """Returns True for codes; a cast writes plain integers."""
    return tensor.type in _CODES and tensor.quantization is not None and tensor.quantization.scale is not None


def _entry(name, index):
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry


class Interpreter(FileRunner):
    """A loaded TFLite file that takes batches of any size, on the CPU with XNNPACK.

    Args:
        source: Path of the file, or its bytes.
        threads: Threads of the runtime.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is truncated, damaged, not a TFLite file, or has no signature with a fixed batch size.

    Example:
        >>> probabilities = Interpreter("model.tflite").run(images)["probabilities"]
    """

    def __init__(self, source: str | os.PathLike[str] | bytes, *, threads: int = 1):
        self.label, self.content = read_file(source)
        own_signature(checked_model(self.content, self.label), self.label)
        self._interpreter = self._load(self.content, num_threads=threads)
        self._runner = self._interpreter.get_signature_runner(SIGNATURE)
        self.inputs = _tensors(self._runner.get_input_details())
        self.outputs = _tensors(self._runner.get_output_details())
        sizes = {tensor.shape[0] if tensor.shape else 0 for tensor in self.inputs.values()}
        if len(sizes) != 1 or min(sizes) < 1:
            raise ValueError(
                f"Expected inputs of one fixed batch size. Received: sizes {sorted(sizes)} in {self.label}."
            )
        self.batch_size = sizes.pop()

    @classmethod
    def check_installed(cls) -> None:
        pass  # tfmp requires it

    def run(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self.by_batches(self._runner, inputs)

    def stored_codes(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self.by_batches(self._readable, inputs)

    @functools.cached_property
    def readable_tensors(self) -> dict[str, FileTensor]:
        return _tensors(self._readable.get_output_details())

    @functools.cached_property
    def _readable(self):
        self._readable_interpreter = self._load(with_readable_tensors(self.content))
        return self._readable_interpreter.get_signature_runner(TENSOR_SIGNATURE)

    def operators_outside_xnnpack(self) -> list[tuple[str, str]]:
        """Lists operators that XNNPACK does not run; the runtime's own kernels are slower and round differently.

        Returns:
            Kind, as in the schema, and name of the first output tensor of each, in the order of execution.
        """
        interpreter = self._load(self.content, experimental_disable_delegate_node_fusion=True)
        # There is no other way to see what the runtime delegates. With fusion off, a delegated operator is followed by
        # a node DELEGATE that writes the same tensors.
        nodes = interpreter._get_ops_details()
        names = {tensor["index"]: tensor["name"] for tensor in interpreter.get_tensor_details()}
        delegated = {index for node in nodes if node["op_name"] == "DELEGATE" for index in node["outputs"]}
        return [
            (node["op_name"], names[node["outputs"][0]])
            for node in nodes
            if node["op_name"] != "DELEGATE" and not delegated.intersection(node["outputs"])
        ]

    def _load(self, content, **arguments):
        try:
            interpreter = litert.Interpreter(model_content=content, **arguments)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"Expected a complete TFLite file that this runtime can run. Received: {self.label}, "
                f"{len(self.content)} bytes; copy or export it again. The runtime says: {' '.join(str(error).split())}"
            ) from error
        return interpreter


def _tensors(details):
    tensors = {}
    for name, detail in details.items():
        scales = detail["quantization_parameters"]["scales"]
        zero_points = detail["quantization_parameters"]["zero_points"]
        scale, zero_point = (float(scales[0]), int(zero_points[0])) if len(scales) else (None, None)
        tensors[name] = FileTensor(tuple(map(int, detail["shape"])), detail["dtype"].__name__, scale, zero_point)
    return tensors
