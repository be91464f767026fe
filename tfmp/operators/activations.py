"""Activations that stand for themselves."""

import numpy as np

from tfmp.graph import Grid
from tfmp.graph.integer_graph import FIXED_GRIDS
from tfmp.graph.runtime_limits import CODE_SPAN, LEAKY_RELU_FACTORS
from tfmp.operators.affine_chain import AffineMap
from tfmp.operators.channel_products import folded_map
from tfmp.operators.elementwise import multiplied
from tfmp.operators.integer_builder import Codes
from tfmp.operators.operator import MOVES, Rule, always

_ARGUMENTS = ("approximate", "negative_slope")
_GATE = Codes.all_of(Grid(1 / CODE_SPAN, 0, CODE_SPAN))


def fold_relu(folder, call, codes):
    """A tighter clip for whatever makes the input."""
    return folder.demand(call.inputs[0], codes.rectified(folder.graph.layer_of(call).attributes.get("max_value")))


def fold_on_fixed_grid(folder, call, codes):
    """Sigmoid, tanh and softmax write one grid each."""
    layer = folder.graph.layer_of(call)
    own = Codes.all_of(FIXED_GRIDS[layer.kind])
    kind, attributes = ("softmax", {}) if layer.kind == "softmax" else ("activation", {"function": layer.kind})
    shape, sources = folder.shape(call.outputs[0]), (folder.stored(call.inputs[0], layer.name),)
    made = folder.builder.add(kind, sources, layer.name, shape, own, attributes=attributes, layer=layer.name)
    return folder.requantized(call.outputs[0], made, own, codes)


def fold_function(folder, call, codes):
    """Functions that the runtime writes on any grid."""
    layer = folder.graph.layer_of(call)
    given = {name: layer.attributes[name] for name in _ARGUMENTS if name in layer.attributes}
    attributes = {"function": layer.kind, **given}
    source, shape = folder.stored(call.inputs[0], layer.name), folder.shape(call.outputs[0])
    return folder.builder.add(
        "activation", (source,), layer.name, shape, codes, attributes=attributes, layer=layer.name
    )


def fold_leaky_relu(folder, call, codes):
    """The runtime's own where its factors have enough digits, else exactly as a parametric ReLU."""
    layer = folder.graph.layer_of(call)
    slope, (smallest, largest) = float(layer.attributes["negative_slope"]), LEAKY_RELU_FACTORS
    ratio = np.float32(folder.stored_grid(call.inputs[0], layer.name).scale) / np.float32(codes.grid.scale)
    if all(smallest <= factor <= largest for factor in (ratio, abs(ratio * np.float32(slope)))):
        return fold_function(folder, call, codes)
    return _in_two_parts(folder, call, codes, np.asarray(slope))


def fold_prelu(folder, call, codes):
    """A slope for each channel, or for each value where the axes before it have slopes of their own."""
    layer = folder.graph.layer_of(call)
    return _in_two_parts(folder, call, codes, np.asarray(layer.weights["alpha"], np.float64))


def fold_swish(folder, call, codes):
    """The product of x and sigmoid(x)."""
    layer = folder.graph.layer_of(call)
    source, shape = folder.stored(call.inputs[0], layer.name), folder.shape(call.outputs[0])
    own = Codes.all_of(FIXED_GRIDS["sigmoid"])
    attributes = {"function": "sigmoid"}
    gate = folder.builder.add("activation", (source,), f"{layer.name}_gate", shape, own, attributes=attributes)
    return multiplied(folder, (source, gate), layer.name, call.outputs[0], codes)


def fold_hard_swish(folder, call, codes):
    """The product of x and relu6(x + 3) / 6."""
    layer = folder.graph.layer_of(call)
    source, grid = folder.stored(call.inputs[0], layer.name), folder.stored_grid(call.inputs[0], layer.name)
    ramp = AffineMap(np.asarray(1 / 6), np.asarray(0.5))
    constants = folded_map(ramp, folder.shape(call.inputs[0])[-1], grid.scale)
    gate = folder.builder.scaled(source, f"{layer.name}_gate", _GATE, constants)
    return multiplied(folder, (source, gate), layer.name, call.outputs[0], codes)


def _in_two_parts(folder, call, codes, slope):
    """max(x, 0) + slope * min(x, 0): of each value one part is zero, so that the sum rounds nothing."""
    layer, builder = folder.graph.layer_of(call), folder.builder
    source, grid = folder.stored(call.inputs[0], layer.name), folder.stored_grid(call.inputs[0], layer.name)
    shape, flat = folder.shape(call.outputs[0]), source
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


RULES = {
    "relu": Rule(fold_relu, reads=MOVES, non_negative=always),
    "softmax": Rule(fold_on_fixed_grid, non_negative=always, grid=FIXED_GRIDS["softmax"]),
    "sigmoid": Rule(fold_on_fixed_grid, non_negative=always, grid=FIXED_GRIDS["sigmoid"]),
    "tanh": Rule(fold_on_fixed_grid, grid=FIXED_GRIDS["tanh"]),
    "elu": Rule(fold_function),
    "gelu": Rule(fold_function),
    "leaky_relu": Rule(fold_leaky_relu),
    "prelu": Rule(fold_prelu),
    "swish": Rule(fold_swish),
    "hard_swish": Rule(fold_hard_swish),
}
