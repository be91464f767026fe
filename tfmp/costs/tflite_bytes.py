"""Cost `tflite_bytes`: bytes of the exported TFLite file."""

import json
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from tfmp.costs.cost import Cost
from tfmp.graph import CodeFormat, Graph, LayerShape
from tfmp.graph.targets import LITERT, Target
from tfmp.lowering.byte_counter import ByteCounter, content_bytes
from tfmp.lowering.open_lowering import write_open
from tfmp.lowering.weight_packing import WeightStorage, check_mode, weight_storage
from tfmp.operators.float_layer import float_layers
from tfmp.operators.writing.sink import Options, Quantization
from tfmp.version import VERSION

_FLOAT_BYTES = 4
# Header, tables of the model, of the subgraph and of the metadata, layouts of the tables, and what aligns contents.
_BASE_BYTES = 364
_CODE_IN_WORDS = "value = (code + 128) * 0.000123456789"  # the longest


class TFLiteBytes(Cost):
    """Size of the file that `tfmp.export_tflite` writes: containers, not bits, with all that stands around them.

    A layer pays for its kernel in its container and for the operators that a packed one or a tighter clip needs;
    the network for everything else. A network in floating point has 4 bytes for every parameter.

    Args:
        mode: That of the export, `"small"` or `"fast"`. By default not that of `tfmp.export_tflite`: in mode `"fast"`
            every weight takes a byte, whatever its bits.
    """

    name = "tflite_bytes"
    unit = "bytes"
    per_call = False
    file_target: Target = LITERT

    def __init__(self, mode: str = "small"):
        check_mode(mode)
        self.mode = mode

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        weights = np.array([self._kernel_bytes(shape, format, self.mode) for format in weight_formats], np.float64)
        clips = np.array([_clip_bytes(shape, format) for format in activation_formats], np.float64)
        return weights[:, None] + clips[None, :]

    def overhead(self, graph: Graph) -> float:
        layers = list(graph.in_order())
        if not any(layer.is_quantized for layer in layers):
            kernels = sum(layer.shape.num_weights for layer in layers if layer.shape is not None)
            numbers = sum(layer.num_parameters for layer in layers) - kernels
            return float(_FLOAT_BYTES * numbers + _float_structure(graph))
        with_kernel = [(layer.shape, layer.weight, layer.activation) for layer in layers if layer.shape is not None]
        is_open = any(len(weight.formats) > 1 for _, weight, _ in with_kernel)
        # What kernels of some bits share is paid by none of them: for all bits that may occur, the bytes that other
        # kernels do not need. Where kernels are gathered, the first candidates need most of it.
        mode = "fast" if is_open and self.file_target.decodes else self.mode
        counter = ByteCounter()
        inputs, outputs = write_open(graph, counter, mode=mode, target=self.file_target)
        counter.finish(graph.name, inputs, outputs)
        shared: dict[Hashable, int] = {}
        if mode != self.mode:
            for shape, weight, _ in with_kernel:
                for each in weight.formats:
                    shared.update(self._storage(shape, each, self.mode).shared)
        about = content_bytes(len(json.dumps(self._metadata(graph, inputs, outputs), separators=(",", ":"))))
        # The file holds the first candidates, of which the tables have a part already.
        priced = sum(
            self._kernel_bytes(shape, weight.formats[0], mode) + _clip_bytes(shape, activation.formats[0])
            for shape, weight, activation in with_kernel
        )
        return float(_BASE_BYTES + about + counter.total_bytes + sum(shared.values()) - priced)

    def _kernel_bytes(self, shape: LayerShape, weight_format: CodeFormat, mode: str) -> int:
        storage = self._storage(shape, weight_format, mode)
        return content_bytes(storage.kernel_bytes) + storage.unshared_bytes

    def _storage(self, shape: LayerShape, weight_format: CodeFormat, mode: str) -> WeightStorage:
        if weight_format.is_float:
            return WeightStorage(8 * _FLOAT_BYTES, _FLOAT_BYTES * shape.num_weights)
        low, high = weight_format.code_range
        return weight_storage(shape, low, high, bits=weight_format.bits, mode=mode, target=self.file_target)

    def _metadata(self, graph: Graph, inputs: Iterable[str], outputs: Iterable[str]) -> dict[str, Any]:
        bits = {layer.name: [8, 8] for layer in graph.in_order() if layer.shape is not None and layer.is_quantized}
        number = self.file_target.number_type
        words = number if number == "float32" else f"{number}: {_CODE_IN_WORDS}"
        ends = {"inputs": dict.fromkeys(inputs, words), "outputs": dict.fromkeys(outputs, words)}
        named: dict[str, Any] = {} if self.file_target == LITERT else {"target": self.file_target.name}
        floating = float_layers(graph)
        named |= {"float_layers": floating} if floating else {}
        return {"tfmp": VERSION, "mode": self.mode, "bits": bits, **ends, **named}


def _clip_bytes(shape: LayerShape, activation_format: CodeFormat) -> int:
    """Codes that fill neither INT8 nor start at zero are clipped by an operator of its own."""
    if activation_format.is_float or activation_format.low == 0 or activation_format.bits == 8:
        return 0
    counter = ByteCounter()
    codes = counter.tensor(f"{shape.name}/unclipped", (), dtype="int8", quantization=Quantization((1.0,)))
    counter.operator("QUANTIZE", [codes], [codes], version=1, options=Options("QuantizeOptions"))
    return counter.total_bytes


def _float_structure(graph: Graph) -> int:
    counter = ByteCounter()
    indices = {}
    for call in graph.calls:
        for name in call.outputs:
            shape: Any = graph.tensors[name].shape  # with a free batch, which takes as many bytes
            indices[name] = counter.tensor(name, shape, dtype="float32")
        inputs, outputs = ([indices[name] for name in names] for names in (call.inputs, call.outputs))
        counter.operator(call.layer, inputs, outputs, version=1, options=Options(call.layer))
    counter.finish(graph.name, graph.input_names, graph.output_names)
    return _BASE_BYTES + counter.total_bytes
