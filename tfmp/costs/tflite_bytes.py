"""Cost `tflite_bytes`: bytes of the exported TFLite file."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfmp.costs.cost import Cost
from tfmp.graph import CodeFormat, Graph, LayerShape
from tfmp.graph.targets import LITERT
from tfmp.lowering.byte_counter import ByteCounter, content_bytes
from tfmp.lowering.open_lowering import write_open
from tfmp.lowering.weight_packing import check_mode, weight_storage
from tfmp.operators.float_layer import float_layers
from tfmp.operators.writing.sink import Options, Quantization
from tfmp.version import VERSION

_FLOAT_BYTES = 4
# Header, tables of the model and the subgraph, layouts of the tables, zero points of tensors.
_BASE_BYTES = 620
_CODE_IN_WORDS = "value = (code + 128) * 0.00123456789"  # of typical length


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
    target = LITERT

    def __init__(self, mode: str = "small"):
        check_mode(mode)
        self.mode = mode

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        weights = np.array([self._kernel_bytes(shape, format) for format in weight_formats], np.float64)
        clips = np.array([_clip_bytes(shape, format) for format in activation_formats], np.float64)
        return weights[:, None] + clips[None, :]

    def overhead(self, graph: Graph) -> float:
        layers = list(graph.in_order())
        if not any(layer.is_quantized for layer in layers):
            kernels = sum(layer.shape.num_weights for layer in layers if layer.shape is not None)
            numbers = sum(layer.num_parameters for layer in layers) - kernels
            return float(_FLOAT_BYTES * numbers + _float_structure(graph))
        counter = ByteCounter()
        write_open(graph, counter, mode=self.mode, target=self.target)
        about = content_bytes(len(json.dumps(self._metadata(graph), separators=(",", ":"))))
        # The file holds the first candidates, of which the tables have a part already.
        priced = sum(
            self._kernel_bytes(shape, weight.formats[0]) + _clip_bytes(shape, activation.formats[0])
            for shape, weight, activation in ((layer.shape, layer.weight, layer.activation) for layer in layers)
            if shape is not None
        )
        return float(_BASE_BYTES + about + counter.total_bytes - priced)

    def _kernel_bytes(self, shape: LayerShape, weight_format: CodeFormat) -> int:
        if weight_format.is_float:
            return _FLOAT_BYTES * shape.num_weights
        storage = weight_storage(
            shape,
            weight_format.low,
            weight_format.high,
            bits=weight_format.bits,
            mode=self.mode,
            target=self.target,
        )
        return content_bytes(storage.kernel_bytes) + storage.unshared_bytes

    def _metadata(self, graph: Graph) -> dict[str, Any]:
        bits = {layer.name: [8, 8] for layer in graph.in_order() if layer.shape is not None and layer.is_quantized}
        number = self.target.number_type
        words = number if number == "float32" else f"{number}: {_CODE_IN_WORDS}"
        inputs, outputs = (dict.fromkeys(names, words) for names in (graph.input_names, graph.output_names))
        named: dict[str, Any] = {} if self.target == LITERT else {"target": self.target.name}
        floating = float_layers(graph)
        named |= {"float_layers": floating} if floating else {}
        return {"tfmp": VERSION, "mode": self.mode, "bits": bits, "inputs": inputs, "outputs": outputs, **named}


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
    return _BASE_BYTES + counter.total_bytes
