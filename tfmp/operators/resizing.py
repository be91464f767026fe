"""Layers that change the resolution: repetition of values, bilinear resizing, blocks of pixels for channels.

- resize: bilinear, to the output's height and width, rounded half up; input and output are on one scale with one
  `high`. Weights of neighbours are multiples of 2**-11, the centre of output pixel i at input pixel
  `i * ratio + (0.5 * ratio - 0.5)` with `ratio = input size / output size`, within the image.
- depth_to_space, space_to_depth: blocks of `block_size` times as many pixels in each direction for channels, and back;
  all tensors are on one scale with one `high`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.operators.data_movement import movement, write_movement
from tfmp.operators.indexing import resized_to
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


def lower_blocks(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the exchange of blocks of pixels with channels."""
    layer, source = lowering.graph.layer_of(call), lowering.demand(call.inputs[0], codes)
    attributes, all_codes = {"block_size": layer.attributes["block_size"]}, Codes.all_of(codes.grid)
    shape = lowering.shape(call.outputs[0])
    return lowering.builder.add(
        layer.kind, (source,), layer.name, shape, all_codes, attributes=attributes, layer=layer.name
    )


def write_blocks(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes DEPTH_TO_SPACE or SPACE_TO_DEPTH."""
    name = f"{operation.kind.title().replace('_', '')}Options"
    options = Options(name, {"block_size": operation.attributes["block_size"]})
    version = 1 if operation.kind == "depth_to_space" else 2
    write_movement(table, operation, operation.kind.upper(), options, version=version)


def _factors(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    size = config["size"]
    factors = tuple(size) if isinstance(size, list | tuple) else (size,)
    return {"factors": factors} if config.get("interpolation", "nearest") == "nearest" else None


def _bilinear(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {} if config.get("interpolation") == "bilinear" else None


def _resizes(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return None if resized_to(config, call, "bilinear") is None else {}


def _block_size(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    size = config.get("block_size") if call is None or "block_size" in config else _argument_of(call)
    return {"block_size": size} if isinstance(size, int) else None


def _argument_of(call: Call) -> Any:
    return call.kwargs.get("block_size", call.args[1] if len(call.args) > 1 else None)


def _depth_to_space(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    x, size = inputs[0], attributes["block_size"]
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height, width, size, size, channels // size**2)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height * size, width * size, -1)


def _space_to_depth(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    x, size = inputs[0], attributes["block_size"]
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height // size, size, width // size, size, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // size, width // size, -1)


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
        needed=("factors",),
        channels="windowed",
    ),
    movement(
        "resize",
        lower_resize,
        _resized,
        reads=STORED,
        classes={"UpSampling2D": _bilinear, **dict.fromkeys(("Resize", "Resizing", "image.resize"), _resizes)},
        channels="windowed",
    ),
    *(
        movement(
            kind,
            lower_blocks,
            values,
            classes=dict.fromkeys((kind.title().replace("_", ""), f"nn.{kind}"), _block_size),
            needed=("block_size",),
        )
        for kind, values in (("depth_to_space", _depth_to_space), ("space_to_depth", _space_to_depth))
    ),
)
OPERATIONS = (
    OperationKind("resize", write_resize, lacks={"micro": "interpolates with other roundings than LiteRT"}),
    OperationKind("depth_to_space", write_blocks),
    OperationKind("space_to_depth", write_blocks),
)
