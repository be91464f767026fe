"""Activations that stand for themselves."""

import numpy as np

from tfmp.graph import Grid
from tfmp.graph.integer_graph import FIXED_GRIDS
from tfmp.graph.runtime_limits import CODE_SPAN, LEAKY_RELU_FACTORS
from tfmp.operators.affine_chain import AffineMap
from tfmp.operators.channel_products import folded_map
from tfmp.operators.elementwise import multiplied
from tfmp.operators.integer_builder import Codes
from tfmp.operators.operator import MOVES, Operator, always

_ARGUMENTS = ("approximate", "negative_slope")
_GATE = Codes.all_of(Grid(1 / CODE_SPAN, 0, CODE_SPAN))


def lower_relu(lowering, call, codes):
    """A tighter clip for whatever makes the input."""
    return lowering.demand(call.inputs[0], codes.rectified(lowering.graph.layer_of(call).attributes.get("max_value")))


def lower_on_fixed_grid(lowering, call, codes):
    """Sigmoid, tanh and softmax write one grid each."""
    layer = lowering.graph.layer_of(call)
    own = Codes.all_of(FIXED_GRIDS[layer.kind])
    kind, attributes = ("softmax", {}) if layer.kind == "softmax" else ("activation", {"function": layer.kind})
    shape, sources = lowering.shape(call.outputs[0]), (lowering.stored(call.inputs[0], layer.name),)
    made = lowering.builder.add(kind, sources, layer.name, shape, own, attributes=attributes, layer=layer.name)
    return lowering.requantized(call.outputs[0], made, own, codes)


def lower_function(lowering, call, codes):
    """Functions that the runtime writes on any grid."""
    layer = lowering.graph.layer_of(call)
    given = {name: layer.attributes[name] for name in _ARGUMENTS if name in layer.attributes}
    attributes = {"function": layer.kind, **given}
    source, shape = lowering.stored(call.inputs[0], layer.name), lowering.shape(call.outputs[0])
    return lowering.builder.add(
        "activation", (source,), layer.name, shape, codes, attributes=attributes, layer=layer.name
    )


def lower_leaky_relu(lowering, call, codes):
    """The runtime's own where its factors have enough digits, else exactly as a parametric ReLU."""
    layer = lowering.graph.layer_of(call)
    slope, (smallest, largest) = float(layer.attributes["negative_slope"]), LEAKY_RELU_FACTORS
    ratio = np.float32(lowering.stored_grid(call.inputs[0], layer.name).scale) / np.float32(codes.grid.scale)
    if all(smallest <= factor <= largest for factor in (ratio, abs(ratio * np.float32(slope)))):
        return lower_function(lowering, call, codes)
    return _in_two_parts(lowering, call, codes, np.asarray(slope))


def lower_prelu(lowering, call, codes):
    """A slope for each channel, or for each value where the axes before it have slopes of their own."""
    layer = lowering.graph.layer_of(call)
    return _in_two_parts(lowering, call, codes, np.asarray(layer.weights["alpha"], np.float64))


def lower_swish(lowering, call, codes):
    """The product of x and sigmoid(x)."""
    layer = lowering.graph.layer_of(call)
    source, shape = lowering.stored(call.inputs[0], layer.name), lowering.shape(call.outputs[0])
    own = Codes.all_of(FIXED_GRIDS["sigmoid"])
    attributes = {"function": "sigmoid"}
    gate = lowering.builder.add("activation", (source,), f"{layer.name}_gate", shape, own, attributes=attributes)
    return multiplied(lowering, (source, gate), layer.name, call.outputs[0], codes)


def lower_hard_swish(lowering, call, codes):
    """The product of x and relu6(x + 3) / 6."""
    layer = lowering.graph.layer_of(call)
    source, grid = lowering.stored(call.inputs[0], layer.name), lowering.stored_grid(call.inputs[0], layer.name)
    ramp = AffineMap(np.asarray(1 / 6), np.asarray(0.5))
    constants = folded_map(ramp, lowering.shape(call.inputs[0])[-1], grid.scale)
    gate = lowering.builder.scaled(source, f"{layer.name}_gate", _GATE, constants)
    return multiplied(lowering, (source, gate), layer.name, call.outputs[0], codes)


def _in_two_parts(lowering, call, codes, slope):
    """max(x, 0) + slope * min(x, 0): of each value one part is zero, so that the sum rounds nothing."""
    layer, builder = lowering.graph.layer_of(call), lowering.builder
    source, grid = lowering.stored(call.inputs[0], layer.name), lowering.stored_grid(call.inputs[0], layer.name)
    shape, flat = lowering.shape(call.outputs[0]), source
    per_value = slope.ndim > 1 and slope.shape[:-1] != (1,) * (slope.ndim - 1)
    if per_value:
        slope = np.broadcast_to(slope, shape[1:])
        flat = builder.reshaped(source, f"{layer.name}_values", (shape[0], int(np.prod(shape[1:]))))
    slope = slope.reshape(-1) if slope.ndim else slope
    channels = builder.tensors[flat].shape[-1]
    positive = builder.requantized(flat, f"{layer.name}_positive", codes.between(0, np.inf))
    negative = builder.requantized(flat, f"{layer.name}_negative", Codes(grid, min(grid.low, 0), 0))
    constants = folded_map(AffineMap(slope, np.zeros_like(slope)), channels, grid.scale)
    negative = builder.scaled(negative, f"{layer.name}_scaled", codes, constants)
    total = builder.tensors[flat].shape
    name = f"{layer.name}_sum" if per_value else layer.name
    made = builder.add("add", (positive, negative), name, total, codes, layer="" if per_value else layer.name)
    return builder.reshaped(made, layer.name, shape) if per_value else made


OPERATORS = {
    "relu": Operator(lower_relu, reads=MOVES, non_negative=always),
    "softmax": Operator(lower_on_fixed_grid, non_negative=always, grid=FIXED_GRIDS["softmax"]),
    "sigmoid": Operator(lower_on_fixed_grid, non_negative=always, grid=FIXED_GRIDS["sigmoid"]),
    "tanh": Operator(lower_on_fixed_grid, grid=FIXED_GRIDS["tanh"]),
    "elu": Operator(lower_function),
    "gelu": Operator(lower_function),
    "leaky_relu": Operator(lower_leaky_relu),
    "prelu": Operator(lower_prelu),
    "swish": Operator(lower_swish),
    "hard_swish": Operator(lower_hard_swish),
}
