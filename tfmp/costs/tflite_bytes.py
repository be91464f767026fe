"""Cost `tflite_bytes`: bytes of the exported TFLite file."""

import importlib.metadata
import json

import numpy as np

from tfmp.costs.cost import Cost
from tfmp.costs.file_structure import file_structure
from tfmp.lowering.file_size import FileSize, content_bytes
from tfmp.lowering.weight_packing import add_helpers, check_mode, weight_storage

_FLOAT_BYTES = 4
# Header, tables of the model and the subgraph, layouts of the tables, zero points of tensors.
_BASE_BYTES = 620


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

    def __init__(self, mode: str = "small"):
        check_mode(mode)
        self.mode = mode

    def table(self, shape, weight_formats, activation_formats):
        weights = np.array([self._kernel_bytes(shape, format) for format in weight_formats], np.float64)
        clips = np.array([_clip_bytes(shape, format) for format in activation_formats], np.float64)
        return weights[:, None] + clips[None, :]

    def overhead(self, graph):
        layers = list(graph.in_order())
        if not any(layer.is_quantized for layer in layers):
            kernels = sum(layer.shape.num_weights for layer in layers if layer.shape is not None)
            numbers = sum(layer.num_parameters for layer in layers) - kernels
            return float(_FLOAT_BYTES * numbers + _float_structure(graph))
        helpers = FileSize()
        for layer in layers:
            for bits in self._packed_bits(layer):
                add_helpers(helpers, layer.shape, bits)
        about = content_bytes(len(json.dumps(self._metadata(graph), separators=(",", ":"))))
        return float(_BASE_BYTES + about + file_structure(graph).size.total_bytes + helpers.shared_bytes)

    def _storage(self, shape, weight_format):
        return weight_storage(shape, weight_format.low, weight_format.high, mode=self.mode)

    def _kernel_bytes(self, shape, weight_format):
        if weight_format.is_float:
            return _FLOAT_BYTES * shape.num_weights
        storage = self._storage(shape, weight_format)
        helpers = FileSize()
        if storage.container_bits < 8:
            add_helpers(helpers, shape, storage.container_bits)
        return content_bytes(storage.kernel_bytes) + helpers.own_bytes

    def _packed_bits(self, layer):
        """Containers below 8 bits among those of a layer's candidates."""
        if layer.shape is None or layer.weight.formats[0].is_float:
            return set()
        return {self._storage(layer.shape, format).container_bits for format in layer.weight.formats} - {8}

    def _metadata(self, graph):
        bits = {layer.name: [8, 8] for layer in graph.in_order() if layer.shape is not None and layer.is_quantized}
        doors = [{name: "float32" for name in names} for names in (graph.input_names, graph.output_names)]
        return {
            "tfmp": importlib.metadata.version("tfmp"),
            "mode": self.mode,
            "bits": bits,
            "inputs": doors[0],
            "outputs": doors[1],
        }


def _clip_bytes(shape, activation_format):
    """Codes that fill neither INT8 nor start at zero are clipped by an operator of its own."""
    if activation_format.is_float or activation_format.low == 0 or activation_format.bits == 8:
        return 0
    size = FileSize()
    size.operator("QUANTIZE", 1)
    size.tensor(f"{shape.name}/unclipped", (), grid="unclipped")
    return size.total_bytes


def _float_structure(graph):
    size = FileSize()
    for call in graph.calls:
        size.operator(call.layer, len(call.inputs))
        for name in call.outputs:
            size.tensor(name, graph.tensors[name].shape)
    return _BASE_BYTES + size.total_bytes
