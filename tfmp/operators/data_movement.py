"""Layers that move values without changing them."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operator import MOVES, STORED, Attributes, Operator, as_inputs, given, unclipped


def lower_identity(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds nothing: the layer does nothing at inference."""
    return lowering.demand(call.inputs[0], codes)


def lower_reshape(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds a reshape that keeps the batch."""
    layer, shape = lowering.graph.layer_of(call), lowering.shape(call.outputs[0])
    if math.prod(shape[1:]) != math.prod(lowering.shape(call.inputs[0])[1:]):
        raise FoldError(
            layer.name,
            f"it reshapes {lowering.shape(call.inputs[0])} to {shape}, which mixes samples",
            "The batch must stay first, with as many values in each sample.",
        )
    return _moved(lowering, call, codes, "reshape", {})


def lower_concatenate(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds a concatenation, every input on the grid of the output."""
    axis = lowering.graph.layer_of(call).attributes.get("axis", -1)
    return _moved(lowering, call, codes, "concatenate", {"axis": axis})


def lower_pad(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds padding with zeros."""
    return _moved(lowering, call, codes, "pad", {"paddings": lowering.graph.layer_of(call).attributes["paddings"]})


def lower_crop(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds a slice that cuts off the margins."""
    croppings = lowering.graph.layer_of(call).attributes["croppings"]
    begin = (*(before for before, _ in croppings), 0)
    return _moved(lowering, call, codes, "slice", {"begin": begin, "size": lowering.shape(call.outputs[0])[1:]})


def lower_permute(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds a permutation of axes."""
    permutation = lowering.graph.layer_of(call).attributes["permutation"]
    return _moved(lowering, call, codes, "transpose", {"permutation": permutation})


def lower_repeat(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the repetition of a vector as every row of a matrix."""
    layer = lowering.graph.layer_of(call)
    source = lowering.demand(call.inputs[0], codes)
    count = layer.attributes["count"]
    return lowering.builder.repeated(source, layer.name, 0, count, lowering.shape(call.outputs[0]))


def lower_upsample(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the repetition of every value, axis by axis."""
    layer = lowering.graph.layer_of(call)
    repeated, sizes = lowering.demand(call.inputs[0], codes), list(lowering.shape(call.inputs[0]))
    for axis, factor in enumerate(layer.attributes["factors"], start=1):
        if factor > 1:
            sizes[axis] *= factor
            repeated = lowering.builder.repeated(repeated, layer.name, axis, factor, tuple(sizes))
    return repeated


def lower_resize(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds bilinear interpolation, rounded to the grid of the input."""
    name = lowering.graph.layer_of(call).name
    stored = Codes.all_of(lowering.stored_grid(call.inputs[0], name))
    sources, shape = (lowering.stored(call.inputs[0], name),), lowering.shape(call.outputs[0])
    resized = lowering.builder.add("resize", sources, name, shape, stored, layer=name)
    return lowering.requantized(call.outputs[0], resized, stored, codes)


def _moved(lowering: LoweringContext, call: Call, codes: Codes, kind: str, attributes: Mapping[str, Any]) -> str:
    layer = lowering.graph.layer_of(call)
    parts = [lowering.demand(source, codes) for source in call.inputs]  # which clip their output
    shape, all_codes = lowering.shape(call.outputs[0]), Codes.all_of(codes.grid)
    return lowering.builder.add(kind, parts, layer.name, shape, all_codes, attributes=attributes, layer=layer.name)


def _permutation(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    if "dims" in config:
        return {"permutation": (0, *config["dims"])}
    axes = config.get("axes")
    return {"permutation": tuple(axes)} if axes is not None and axes[0] == 0 else None


def _sides(padding: Any) -> tuple[tuple[int, int], ...]:
    """Returns pairs (before, after) for every axis between batch and channels."""
    if not isinstance(padding, list | tuple):
        return ((padding, padding),)
    return tuple(tuple(side) for side in padding) if isinstance(padding[0], list | tuple) else (tuple(padding),)


def _paddings(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"paddings": _sides(config["padding"])}


def _paddings_with_batch(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    sides = tuple(map(tuple, config["pad_width"]))
    zeros = config["mode"] == "constant" and not (call and call.kwargs.get("constant_values"))
    return {"paddings": sides[1:-1]} if zeros and sides[0] == sides[-1] == (0, 0) else None


def _croppings(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"croppings": _sides(config["cropping"])}


def _factors(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    size = config["size"]
    factors = tuple(size) if isinstance(size, list | tuple) else (size,)
    return {"factors": factors} if config.get("interpolation", "nearest") == "nearest" else None


def _bilinear(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {} if config.get("interpolation") == "bilinear" else None


def _repetition(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"count": config["n"]}


def _joined_axis(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return None if call is None else {"axis": call.kwargs.get("axis", call.args[-1])}


def _cropped(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    sides = zip(attributes["croppings"], inputs[0].shape[1:-1], strict=True)
    return inputs[0][(slice(None), *(slice(before, length - after) for (before, after), length in sides))]


def _upsampled(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    x = inputs[0]
    for axis, factor in enumerate(attributes["factors"], start=1):
        x = np.repeat(x, factor, axis=axis)
    return x


def _resized(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """Interpolates bilinearly, with pixel centres at halves."""
    x = inputs[0]
    for axis, size in enumerate(shape[1:-1], start=1):
        length = x.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        below = np.minimum(np.floor(place).astype(int), max(length - 2, 0))
        share = (place - below).reshape(-1, *(1,) * (x.ndim - axis - 1))
        above = np.minimum(below + 1, length - 1)
        x = np.take(x, below, axis) * (1 - share) + np.take(x, above, axis) * share
    return x


def _movement(
    kind: str,
    lower: Callable[..., str],
    values: Callable[..., np.ndarray] | None,
    *,
    reads: str = MOVES,
    **options: Any,
) -> Operator:
    return Operator(kind, lower, values=values, reads=reads, non_negative=as_inputs, **options)


# Layers that only act during training.
_AT_REST = (
    *("Identity", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout"),
    *("GaussianNoise", "ActivityRegularization", "AugMix", "RandAugment", "RandomBrightness"),
    *("RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform", "RandomErasing"),
    *("RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective"),
    *("RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom"),
    "identity",
)
_BATCH_FIRST = "that leaves the batch first"
OPERATORS = (
    _movement(
        "identity",
        lower_identity,
        lambda inputs, attributes, shape: inputs[0],
        classes=dict.fromkeys(_AT_REST, given()),
        functions={"linear": {}},
        order_free=True,
        clip=unclipped,
        keeps_values=True,
    ),
    _movement(
        "reshape",
        lower_reshape,
        lambda inputs, attributes, shape: inputs[0].reshape(len(inputs[0]), *shape[1:]),
        classes=dict.fromkeys(("Flatten", "Reshape", "ExpandDims", "Squeeze"), given()),
        order_free=True,
        channels="reshaped",
        keeps_values=True,
    ),
    _movement(
        "concatenate",
        lower_concatenate,
        lambda inputs, attributes, shape: np.concatenate(inputs, axis=attributes["axis"]),
        classes={"Concatenate": given(), "concat": _joined_axis},
        order_free=True,
        joins=True,
        needed=("axis",),
        channels="concatenated",
    ),
    _movement(
        "pad",
        lower_pad,
        lambda inputs, attributes, shape: np.pad(inputs[0], ((0, 0), *attributes["paddings"], (0, 0))),
        classes={"ZeroPadding1D": _paddings, "ZeroPadding2D": _paddings, "Pad": _paddings_with_batch},
        forms={"Pad": "with zeros, and none around batch and channels"},
        needed=("paddings",),
        channels="windowed",
    ),
    _movement(
        "crop",
        lower_crop,
        _cropped,
        classes={"Cropping1D": _croppings, "Cropping2D": _croppings},
        needed=("croppings",),
        channels="windowed",
    ),
    _movement(
        "permute",
        lower_permute,
        lambda inputs, attributes, shape: inputs[0].transpose(attributes["permutation"]),
        classes={"Permute": _permutation, "Transpose": _permutation},
        forms={"Permute": _BATCH_FIRST, "Transpose": _BATCH_FIRST},
        needed=("permutation",),
        channels="permuted",
    ),
    _movement("repeat", lower_repeat, None, classes={"RepeatVector": _repetition}, channels="repeated"),
    _movement(
        "upsample",
        lower_upsample,
        _upsampled,
        classes={"UpSampling1D": _factors, "UpSampling2D": _factors},
        forms={"UpSampling2D": '"nearest" or "bilinear"'},
        needed=("factors",),
        channels="windowed",
    ),
    _movement("resize", lower_resize, _resized, reads=STORED, classes={"UpSampling2D": _bilinear}, channels="windowed"),
)
