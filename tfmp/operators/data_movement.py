"""Layers that move values without changing them."""

import math

from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.operator import MOVES, Rule, as_inputs


def fold_identity(folder, call, codes):
    """Nothing at inference."""
    return folder.demand(call.inputs[0], codes)


def fold_reshape(folder, call, codes):
    """Other sizes behind the batch."""
    layer, shape = folder.graph.layer_of(call), folder.shape(call.outputs[0])
    if math.prod(shape[1:]) != math.prod(folder.shape(call.inputs[0])[1:]):
        raise FoldError(
            layer.name,
            f"it reshapes {folder.shape(call.inputs[0])} to {shape}, which mixes samples",
            "The batch must stay first, with as many values in each sample.",
        )
    return _moved(folder, call, codes, "reshape", {})


def fold_concatenate(folder, call, codes):
    """Every branch on the grid of the whole."""
    axis = folder.graph.layer_of(call).attributes.get("axis", -1)
    return _moved(folder, call, codes, "concatenate", {"axis": axis})


def fold_pad(folder, call, codes):
    """Zeros around."""
    return _moved(folder, call, codes, "pad", {"paddings": folder.graph.layer_of(call).attributes["paddings"]})


def fold_crop(folder, call, codes):
    """What lies within the margins."""
    croppings = folder.graph.layer_of(call).attributes["croppings"]
    begin = (*(before for before, _ in croppings), 0)
    return _moved(folder, call, codes, "slice", {"begin": begin, "size": folder.shape(call.outputs[0])[1:]})


def fold_permute(folder, call, codes):
    """Axes in another order."""
    permutation = folder.graph.layer_of(call).attributes["permutation"]
    return _moved(folder, call, codes, "transpose", {"permutation": permutation})


def fold_repeat(folder, call, codes):
    """A vector as each row of a matrix."""
    layer = folder.graph.layer_of(call)
    source = folder.demand(call.inputs[0], codes)
    count = layer.attributes["count"]
    return folder.builder.repeated(source, layer.name, 0, count, folder.shape(call.outputs[0]))


def fold_upsample(folder, call, codes):
    """Every value several times, axis by axis."""
    layer = folder.graph.layer_of(call)
    made, sizes = folder.demand(call.inputs[0], codes), list(folder.shape(call.inputs[0]))
    for axis, factor in enumerate(layer.attributes["factors"], start=1):
        if factor > 1:
            sizes[axis] *= factor
            made = folder.builder.repeated(made, layer.name, axis, factor, tuple(sizes))
    return made


def fold_resize(folder, call, codes):
    """Values between neighbours, rounded on the grid of the input."""
    name = folder.graph.layer_of(call).name
    own = Codes.all_of(folder.stored_grid(call.inputs[0], name))
    sources, shape = (folder.stored(call.inputs[0], name),), folder.shape(call.outputs[0])
    made = folder.builder.add("resize", sources, name, shape, own, layer=name)
    return folder.requantized(call.outputs[0], made, own, codes)


def _moved(folder, call, codes, kind, attributes):
    layer = folder.graph.layer_of(call)
    parts = [folder.demand(source, codes) for source in call.inputs]  # which clip for what is behind them
    shape, own = folder.shape(call.outputs[0]), Codes.all_of(codes.grid)
    return folder.builder.add(kind, parts, layer.name, shape, own, attributes=attributes, layer=layer.name)


RULES = {
    "identity": Rule(fold_identity, reads=MOVES, non_negative=as_inputs),
    "reshape": Rule(fold_reshape, reads=MOVES, non_negative=as_inputs),
    "concatenate": Rule(fold_concatenate, reads=MOVES, non_negative=as_inputs, joins=True),
    "pad": Rule(fold_pad, reads=MOVES, non_negative=as_inputs),
    "crop": Rule(fold_crop, reads=MOVES, non_negative=as_inputs),
    "permute": Rule(fold_permute, reads=MOVES, non_negative=as_inputs),
    "repeat": Rule(fold_repeat, reads=MOVES, non_negative=as_inputs),
    "upsample": Rule(fold_upsample, reads=MOVES, non_negative=as_inputs),
    "resize": Rule(fold_resize, non_negative=as_inputs),
}
