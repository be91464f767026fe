"""Builds an integer network of a single layer."""

import math

import numpy as np

from tfmp.graph import Call, Graph, Grid, IntegerGraph
from tfmp.lowering.weight_packing import WeightStorage
from tfmp.operators import kernel_of
from tfmp.operators.convolutions import window_attributes
from tfmp.operators.integer_builder import Codes, IntegerBuilder

_CODES = Codes.all_of(Grid(0.05, 0, 255))
_KERNEL_SCALE = 0.01


def one_layer_graph(graph: Graph, call: Call, storage: WeightStorage) -> IntegerGraph:
    """Returns the integer network of one call of a layer with a kernel, as in an exported file.

    Its codes are arbitrary, because latency does not depend on them.

    Args:
        graph: A network with fixed sizes.
        call: The call.
        storage: How the file stores its weights.
    """
    layer = graph.layer_of(call)
    shape = layer.require_shape()
    source, target = (graph.tensors[name].shape for name in (call.inputs[0], call.outputs[0]))
    kernel = kernel_of(layer)
    planar = kernel.is_planar
    attributes = {**window_attributes(layer, planar=planar), **storage.attributes}
    if planar:
        before, length = 0, source[1]
        if length is None:
            raise ValueError(f"Layer `{layer.name}` must have an input of fixed size. Received: {source}")
        if attributes["padding"] == "causal":
            before = (shape.kernel_size[1] - 1) * attributes["dilation"][1]
            attributes["padding"] = "valid"
        source, target = (source[0], 1, length + before, source[2]), (target[0], 1, *target[1:])
    # Indices to fewer different codes would have fewer bits.
    half = 2 ** ((storage.index_bits or 1) - 1)
    constants: dict[str, np.ndarray] = {
        "kernel": np.random.default_rng(0).integers(-half, half, kernel.operation_shape(shape)).astype(np.int8),
        "kernel_scale": np.full(shape.out_channels, _KERNEL_SCALE / math.sqrt(shape.num_weights), np.float32),
        "bias": np.zeros(shape.out_channels, np.int32),
    }
    builder = IntegerBuilder()
    codes = builder.add("quantize", (builder.input("input", source),), "codes", source, _CODES)
    product = builder.add(
        kernel.operation,
        (codes,),
        layer.name,
        target,
        _CODES,
        attributes=attributes,
        constants=constants,
        layer=layer.name,
    )
    output = builder.add("dequantize", (product,), "output", target, None)
    return builder.graph(layer.name, ("input",), (output,), ("output",))
