"""Layers that move values without changing them, and the integer operations that move codes.

- pad: code 0 around; `paddings`: (before, after) per axis between batch and channels.
- slice: x[:, begin:begin + size]; `begin` and `size`: per axis but the batch.
- transpose: x.transpose(permutation); `permutation`: of all axes, 0 first.
- reshape: to the shape of the output.
- concatenate: along `axis`.

All their tensors are on one scale with one `high`. The runtime's own kernels, not XNNPACK, concatenate more than five
tensors.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call
from tfmp.graph.integer_graph import IntegerGraph, IntegerOperation
from tfmp.graph.runtime_limits import MICRO_CONCATENATION, MICRO_MOVED_AXES
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import MOVES, Attributes, Operator, as_inputs, given, unclipped
from tfmp.operators.writing import UNFUSED, Options, TensorTable


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
    return moved(lowering, call, codes, "reshape", {})


def lower_concatenate(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds a concatenation, every input on the grid of the output."""
    axis = lowering.graph.layer_of(call).attributes.get("axis", -1)
    return moved(lowering, call, codes, "concatenate", {"axis": axis})


def lower_pad(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds padding with zeros."""
    return moved(lowering, call, codes, "pad", {"paddings": lowering.graph.layer_of(call).attributes["paddings"]})


def lower_crop(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds a slice that cuts off the margins."""
    croppings = lowering.graph.layer_of(call).attributes["croppings"]
    begin = (*(before for before, _ in croppings), 0)
    return moved(lowering, call, codes, "slice", {"begin": begin, "size": lowering.shape(call.outputs[0])[1:]})


def lower_permute(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds a permutation of axes."""
    permutation = lowering.graph.layer_of(call).attributes["permutation"]
    return moved(lowering, call, codes, "transpose", {"permutation": permutation})


def moved(lowering: LoweringContext, call: Call, codes: Codes, kind: str, attributes: Mapping[str, Any]) -> str:
    """Adds an operation that moves codes, its inputs on the grid of the output."""
    layer = lowering.graph.layer_of(call)
    parts = [lowering.demand(source, codes) for source in call.inputs]  # which clip their output
    shape, all_codes = lowering.shape(call.outputs[0]), Codes.all_of(codes.grid)
    return lowering.builder.add(kind, parts, layer.name, shape, all_codes, attributes=attributes, layer=layer.name)


def write_pad(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes PAD with code 0 above, below, left and right."""
    rows = [(0, 0), *operation.attributes["paddings"], (0, 0)]
    rank = len(table.shape(operation.inputs[0]))
    if len(rows) != rank:
        raise ValueError(
            f"`paddings` must hold one pair for each of the {rank - 2} middle axes. Received: "
            f"{operation.attributes['paddings']} at operation {operation.name!r}."
        )
    write_movement(table, operation, "PAD", Options("PadOptions"), paddings=rows)


def write_slice(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes SLICE of a box with the whole batch."""
    source = table.shape(operation.inputs[0])
    begin, size = (tuple(operation.attributes[name]) for name in ("begin", "size"))
    box = zip(begin, size, source[1:], strict=False)
    if len(begin) != len(source) - 1 or any(start < 0 or start + count > whole for start, count, whole in box):
        raise ValueError(
            f"`begin` and `size` must lie within {source[1:]}, the sizes without the batch. Received: {begin} and "
            f"{size} at operation {operation.name!r}."
        )
    write_movement(table, operation, "SLICE", Options("SliceOptions"), begin=(0, *begin), size=(source[0], *size))


def write_transpose(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes TRANSPOSE of all axes except the batch."""
    permutation = tuple(operation.attributes["permutation"])
    rank = len(table.shape(operation.inputs[0]))
    if sorted(permutation) != list(range(rank)) or permutation[0] != 0:
        raise ValueError(
            f"`permutation` must hold the axes 0 to {rank - 1}, the batch first. Received: {permutation} at operation "
            f"{operation.name!r}."
        )
    version = 4 if rank > 4 else 2
    write_movement(table, operation, "TRANSPOSE", Options("TransposeOptions"), version=version, permutation=permutation)


def write_reshape(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes RESHAPE to the shape of the output."""
    shape = table.shape(operation.output)
    source = table.shape(operation.inputs[0])
    if np.prod(shape) != np.prod(source):
        raise ValueError(f"Cannot reshape {source} to {shape}. Received at operation {operation.name!r}.")
    write_movement(table, operation, "RESHAPE", Options("ReshapeOptions", {"new_shape": shape}), version=1, shape=shape)


def write_concatenate(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes CONCATENATION of tensors that share the output's scale and zero point."""
    axis = operation.attributes.get("axis", -1) % len(table.shape(operation.output))
    write_movement(table, operation, "CONCATENATION", Options("ConcatenationOptions", {**UNFUSED, "axis": axis}))


def _too_many_axes(operation: IntegerOperation, graph: IntegerGraph) -> str | None:
    """Returns why TensorFlow Lite for Microcontrollers does not move values of a tensor; None if it does."""
    rank = len(graph.tensors[operation.inputs[0]].shape)
    return f"moves codes of {rank} axes, at most {MICRO_MOVED_AXES} run" if rank > MICRO_MOVED_AXES else None


def _too_many_inputs(operation: IntegerOperation, graph: IntegerGraph) -> str | None:
    """Returns why TensorFlow Lite for Microcontrollers does not join tensors; None if it does."""
    count = len(operation.inputs)
    return f"joins {count} tensors, at most {MICRO_CONCATENATION} run" if count > MICRO_CONCATENATION else None


def write_movement(
    table: TensorTable,
    operation: IntegerOperation,
    kind: str,
    options: Options | None,
    *,
    version: int = 2,
    **arguments: Any,
) -> None:
    """Writes an operator that takes its arguments as int32 tensors after the operation's inputs."""
    table.same_grid(operation)
    inputs = [table.index(name) for name in operation.inputs]
    for name, values in arguments.items():
        inputs.append(table.sink.constant(f"{operation.name}/{name}", np.array(values, np.int32)))
    grids = [table.grid(name) for name in operation.inputs]
    reach = min(grid.low for grid in grids), max(grid.high for grid in grids)
    table.add_operator(operation, kind, inputs, version=version, options=options, reach=reach, keeps_zero_point=True)


def _permutation(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    if "dims" in config:
        return {"permutation": (0, *config["dims"])}
    axes = config.get("axes")
    if call is not None and "function" in config:  # of TensorFlow
        axes = call.kwargs.get("perm", call.args[1] if len(call.args) > 1 else None)
    return {"permutation": tuple(axes)} if isinstance(axes, list | tuple) and axes[0] == 0 else None


def _sides(padding: Any) -> tuple[tuple[int, int], ...]:
    """Returns pairs (before, after) for every axis between batch and channels."""
    if not isinstance(padding, list | tuple):
        return ((padding, padding),)
    return tuple(tuple(side) for side in padding) if isinstance(padding[0], list | tuple) else (tuple(padding),)


def _paddings(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"paddings": _sides(config["padding"])}


def _paddings_with_batch(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    kwargs = {} if call is None else {**dict(zip(("paddings", "mode"), call.args[1:], strict=False)), **call.kwargs}
    widths, mode = (
        config.get(name, kwargs.get(other)) for name, other in (("pad_width", "paddings"), ("mode", "mode"))
    )
    if not isinstance(widths, list | tuple):
        return None
    sides = tuple(map(tuple, widths))
    zeros = str(mode or "constant").lower() == "constant" and not kwargs.get("constant_values")
    return {"paddings": sides[1:-1]} if zeros and sides[0] == sides[-1] == (0, 0) else None


def _image_paddings(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    sides = [(config.get(f"{one}_padding"), config.get(f"{two}_padding")) for one, two in _EDGES]
    known = all(isinstance(size, int) for side in sides for size in side)
    return {"paddings": tuple(sides)} if known else None


def _croppings(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"croppings": _sides(config["cropping"])}


def _only_tensor(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {} if call is None or len(call.inputs) == 1 else None  # a computed shape is another input


def _joined_axis(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return None if call is None else {"axis": call.kwargs.get("axis", call.args[-1])}


# Names of opposite edges of an image.
_EDGES = (("top", "bottom"), ("left", "right"))


def _cropped(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    sides = zip(attributes["croppings"], inputs[0].shape[1:-1], strict=True)
    return inputs[0][(slice(None), *(slice(before, length - after) for (before, after), length in sides))]


def movement(
    kind: str,
    lower: Callable[..., str],
    values: Callable[..., np.ndarray] | None,
    *,
    reads: str = MOVES,
    **options: Any,
) -> Operator:
    """Returns the record of a kind that moves values; the arguments are fields of `Operator`."""
    return Operator(kind, lower, values=values, reads=reads, non_negative=as_inputs, **options)


# Layers that only act during training.
_AT_REST = (
    *("Identity", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout"),
    *("GaussianNoise", "ActivityRegularization", "AugMix", "RandAugment", "RandomBrightness"),
    *("RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform", "RandomErasing"),
    *("RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert", "RandomPerspective"),
    *("RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom"),
    *("SpatialDropout3D", "RandomPosterization", "StochasticDepth", "StopGradient", "identity"),
    "stop_gradient",
)
_BATCH_FIRST = "that leaves the batch first"
OPERATORS = (
    movement(
        "identity",
        lower_identity,
        lambda inputs, attributes, shape: inputs[0],
        classes=dict.fromkeys(_AT_REST, given()) | dict.fromkeys(("CutMix", "MixUp"), _only_tensor),
        instead_of={"nn.dropout": "Dropout"},
        functions={"linear": {}},
        order_free=True,
        clip=unclipped,
        keeps_values=True,
    ),
    movement(
        "reshape",
        lower_reshape,
        lambda inputs, attributes, shape: inputs[0].reshape(len(inputs[0]), *shape[1:]),
        classes=dict.fromkeys(
            ("Flatten", "Reshape", "ExpandDims", "Squeeze", "expand_dims", "reshape", "squeeze"), _only_tensor
        ),
        order_free=True,
        channels="reshaped",
        keeps_values=True,
    ),
    movement(
        "concatenate",
        lower_concatenate,
        lambda inputs, attributes, shape: np.concatenate(inputs, axis=attributes["axis"]),
        classes={"Concatenate": given(), "concat": _joined_axis},
        order_free=True,
        joins=True,
        needed=("axis",),
        channels="concatenated",
    ),
    movement(
        "pad",
        lower_pad,
        lambda inputs, attributes, shape: np.pad(inputs[0], ((0, 0), *attributes["paddings"], (0, 0))),
        classes={"ZeroPadding1D": _paddings, "ZeroPadding2D": _paddings, "PadImages": _image_paddings}
        | dict.fromkeys(("Pad", "pad"), _paddings_with_batch),
        forms={"Pad": "with zeros around other axes than batch and channels, or by reflection"},
        needed=("paddings",),
        channels="windowed",
    ),
    movement(
        "crop",
        lower_crop,
        _cropped,
        classes={"Cropping1D": _croppings, "Cropping2D": _croppings},
        instead_of={"CenterCrop": "Cropping2D"},
        needed=("croppings",),
        channels="windowed",
    ),
    movement(
        "permute",
        lower_permute,
        lambda inputs, attributes, shape: inputs[0].transpose(attributes["permutation"]),
        classes=dict.fromkeys(("Permute", "Transpose", "transpose"), _permutation),
        forms={"Permute": _BATCH_FIRST, "Transpose": _BATCH_FIRST},
        needed=("permutation",),
        channels="permuted",
    ),
)
OPERATIONS = (
    OperationKind("pad", write_pad),
    OperationKind("slice", write_slice, lacks={"micro": _too_many_axes}),
    OperationKind("transpose", write_transpose, lacks={"micro": _too_many_axes}),
    OperationKind("reshape", write_reshape),
    OperationKind("concatenate", write_concatenate, lacks={"micro": _too_many_inputs}),
)
