"""Layers that move values without changing them."""

import math

from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.operator import MOVES, Operator, as_inputs


def lower_identity(lowering, call, codes):
    """Nothing at inference."""
    return lowering.demand(call.inputs[0], codes)


def lower_reshape(lowering, call, codes):
    """Other sizes behind the batch."""
    layer, shape = lowering.graph.layer_of(call), lowering.shape(call.outputs[0])
    if math.prod(shape[1:]) != math.prod(lowering.shape(call.inputs[0])[1:]):
        raise FoldError(
            layer.name,
            f"it reshapes {lowering.shape(call.inputs[0])} to {shape}, which mixes samples",
            "The batch must stay first, with as many values in each sample.",
        )
    return _moved(lowering, call, codes, "reshape", {})


def lower_concatenate(lowering, call, codes):
    """Every branch on the grid of the whole."""
    axis = lowering.graph.layer_of(call).attributes.get("axis", -1)
    return _moved(lowering, call, codes, "concatenate", {"axis": axis})


def lower_pad(lowering, call, codes):
    """Zeros around."""
    return _moved(lowering, call, codes, "pad", {"paddings": lowering.graph.layer_of(call).attributes["paddings"]})


def lower_crop(lowering, call, codes):
    """What lies within the margins."""
    croppings = lowering.graph.layer_of(call).attributes["croppings"]
    begin = (*(before for before, _ in croppings), 0)
    return _moved(lowering, call, codes, "slice", {"begin": begin, "size": lowering.shape(call.outputs[0])[1:]})


def lower_permute(lowering, call, codes):
    """Axes in another order."""
    permutation = lowering.graph.layer_of(call).attributes["permutation"]
    return _moved(lowering, call, codes, "transpose", {"permutation": permutation})


def lower_repeat(lowering, call, codes):
    """A vector as each row of a matrix."""
    layer = lowering.graph.layer_of(call)
    source = lowering.demand(call.inputs[0], codes)
    count = layer.attributes["count"]
    return lowering.builder.repeated(source, layer.name, 0, count, lowering.shape(call.outputs[0]))


def lower_upsample(lowering, call, codes):
    """Every value several times, axis by axis."""
    layer = lowering.graph.layer_of(call)
    made, sizes = lowering.demand(call.inputs[0], codes), list(lowering.shape(call.inputs[0]))
    for axis, factor in enumerate(layer.attributes["factors"], start=1):
        if factor > 1:
            sizes[axis] *= factor
            made = lowering.builder.repeated(made, layer.name, axis, factor, tuple(sizes))
    return made


def lower_resize(lowering, call, codes):
    """Values between neighbours, rounded on the grid of the input."""
    name = lowering.graph.layer_of(call).name
    own = Codes.all_of(lowering.stored_grid(call.inputs[0], name))
    sources, shape = (lowering.stored(call.inputs[0], name),), lowering.shape(call.outputs[0])
    made = lowering.builder.add("resize", sources, name, shape, own, layer=name)
    return lowering.requantized(call.outputs[0], made, own, codes)


def _moved(lowering, call, codes, kind, attributes):
    layer = lowering.graph.layer_of(call)
    parts = [lowering.demand(source, codes) for source in call.inputs]  # which clip for what is behind them
    shape, own = lowering.shape(call.outputs[0]), Codes.all_of(codes.grid)
    return lowering.builder.add(kind, parts, layer.name, shape, own, attributes=attributes, layer=layer.name)


OPERATORS = {
    "identity": Operator(lower_identity, reads=MOVES, non_negative=as_inputs),
    "reshape": Operator(lower_reshape, reads=MOVES, non_negative=as_inputs),
    "concatenate": Operator(lower_concatenate, reads=MOVES, non_negative=as_inputs, joins=True),
    "pad": Operator(lower_pad, reads=MOVES, non_negative=as_inputs),
    "crop": Operator(lower_crop, reads=MOVES, non_negative=as_inputs),
    "permute": Operator(lower_permute, reads=MOVES, non_negative=as_inputs),
    "repeat": Operator(lower_repeat, reads=MOVES, non_negative=as_inputs),
    "upsample": Operator(lower_upsample, reads=MOVES, non_negative=as_inputs),
    "resize": Operator(lower_resize, non_negative=as_inputs),
}
