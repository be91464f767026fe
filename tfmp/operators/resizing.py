"""Layers that repeat values, and bilinear resizing.

- resize: bilinear, to the output's height and width, rounded half up; input and output are on one scale with one
  `high`. Weights of neighbours are multiples of 2**-11, the centre of output pixel i at input pixel
  `i * ratio + (0.5 * ratio - 0.5)` with `ratio = input size / output size`, within the image.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.operators.data_movement import movement, write_movement
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import STORED, Attributes
from tfmp.operators.writing import Options, TensorTable


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


def write_resize(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes RESIZE_BILINEAR with half-pixel centres."""
    shape = table.shape(operation.output)
    source = table.shape(operation.inputs[0])
    if len(shape) != 4 or (shape[0], shape[3]) != (source[0], source[3]):
        raise ValueError(
            f"`resize` changes height and width of [batch, height, width, channels]. Received: {source} to {shape} at "
            f"operation {operation.name!r}."
        )
    options = Options("ResizeBilinearOptions", {"half_pixel_centers": True})
    write_movement(table, operation, "RESIZE_BILINEAR", options, version=3, size=shape[1:3])


def _factors(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    size = config["size"]
    factors = tuple(size) if isinstance(size, list | tuple) else (size,)
    return {"factors": factors} if config.get("interpolation", "nearest") == "nearest" else None


def _bilinear(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {} if config.get("interpolation") == "bilinear" else None


def _repetition(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"count": config["n"]}


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


OPERATORS = (
    movement("repeat", lower_repeat, None, classes={"RepeatVector": _repetition}, channels="repeated"),
    movement(
        "upsample",
        lower_upsample,
        _upsampled,
        classes={"UpSampling1D": _factors, "UpSampling2D": _factors},
        forms={"UpSampling2D": '"nearest" or "bilinear"'},
        instead_of=dict.fromkeys(("Repeat", "Tile", "repeat", "tile"), "UpSampling2D"),
        needed=("factors",),
        channels="windowed",
    ),
    movement(
        "resize",
        lower_resize,
        _resized,
        reads=STORED,
        classes={"UpSampling2D": _bilinear},
        instead_of=dict.fromkeys(("Resize", "Resizing", "image.resize"), "UpSampling2D"),
        channels="windowed",
    ),
)
OPERATIONS = (
    OperationKind("resize", write_resize, lacks={("micro", None): "interpolates with other roundings than LiteRT"}),
)
