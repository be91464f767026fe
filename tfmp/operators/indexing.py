"""Layers that take values at constant positions (slices, splits, flips, repetitions), and stack or move axes.

- gather: x taken at the constant `indices` along `axis`; input and output are on one scale with one `high`. The
  runtime's own kernel, not XNNPACK, copies blocks of all axes after `axis`; along the last axis it is slow.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call, Layer
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.operators.data_movement import moved, movement, write_movement
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import Attributes
from tfmp.operators.writing import Options, TensorTable

# One selection along an axis: (axis, name of a function of the positions on it, its arguments).
Selection = tuple[int, str, tuple[Any, ...]]


def lower_select(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds one slice for ranges of positions, and one gather for each axis with others."""
    layer, builder, shape = lowering.graph.layer_of(call), lowering.builder, lowering.shape(call.outputs[0])
    sizes, outputs = lowering.shape(call.inputs[0]), lowering.graph.producer(call.outputs[0]).outputs
    taken = dict(_positions(layer, sizes, outputs.index(call.outputs[0])))
    if shape[0] != sizes[0]:
        raise FoldError(layer.name, "it repeats samples", "Repeat along another axis than the first.")
    source = lowering.demand(call.inputs[0], codes)
    ranges = {axis: places for axis, places in taken.items() if places.size and np.all(np.diff(places) == 1)}
    begin = tuple(int(ranges[axis][0]) if axis in ranges else 0 for axis in range(1, len(sizes)))
    size = tuple(len(ranges[axis]) if axis in ranges else sizes[axis] for axis in range(1, len(sizes)))
    attributes: Attributes = {"begin": begin, "size": size}
    if size != tuple(sizes[1:]):
        source = _add(lowering, layer, "slice", source, (sizes[0], *size), attributes)
    for axis in sorted(taken.keys() - ranges.keys()):
        indices = tuple(taken[axis].tolist())
        shape_before = builder.sizes(source)
        sizes_after = (*shape_before[:axis], len(indices), *shape_before[axis + 1 :])
        source = _add(lowering, layer, "gather", source, sizes_after, {"axis": axis, "indices": indices})
    return builder.reshaped(source, f"{layer.name}_values", shape)


def _add(
    lowering: LoweringContext, layer: Layer, kind: str, source: str, sizes: Sequence[Any], attributes: Attributes
) -> str:
    codes = Codes.all_of(lowering.builder.tensors[source].require_grid())
    return lowering.builder.add(
        kind, (source,), layer.name, tuple(sizes), codes, attributes=attributes, layer=layer.name
    )


def lower_stack(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds a concatenation of tensors along a new axis."""
    layer, builder, shape = lowering.graph.layer_of(call), lowering.builder, lowering.shape(call.outputs[0])
    axis = layer.attributes["axis"] % len(shape)
    if axis == 0:
        raise FoldError(layer.name, "it stacks samples", "Give it another axis than the first.")
    one, all_codes = (*shape[:axis], 1, *shape[axis + 1 :]), Codes.all_of(codes.grid)
    parts = [builder.reshaped(lowering.demand(source, codes), f"{source}_part", one) for source in call.inputs]
    return builder.add("concatenate", parts, layer.name, shape, all_codes, attributes={"axis": axis}, layer=layer.name)


def lower_move_axes(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the permutation that moves some axes to other places."""
    layer, rank = lowering.graph.layer_of(call), len(lowering.shape(call.inputs[0]))
    permutation = _moved_axes(layer.attributes, rank)
    if permutation[0] != 0:
        raise FoldError(layer.name, "it moves the axis of the batch", "Move other axes than the first.")
    return moved(lowering, call, codes, "transpose", {"permutation": permutation})


def write_gather(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes GATHER of constant positions along an axis after the batch."""
    axis, indices = operation.attributes["axis"], operation.attributes["indices"]
    source = table.shape(operation.inputs[0])
    if not 0 < axis < len(source) or not all(0 <= index < source[axis] for index in indices):
        raise ValueError(
            f"`axis` must be from 1 to {len(source) - 1}, and `indices` within its size. Received: axis {axis}, "
            f"indices {indices} of shape {source} at operation {operation.name!r}."
        )
    write_movement(table, operation, "GATHER", Options("GatherOptions", {"axis": axis}), indices=indices)


def _positions(layer: Layer, sizes: Sequence[Any], part: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the axes along which a layer selects, each with the positions that it takes, for one of its outputs."""
    for axis, name, arguments in layer.attributes["selections"]:
        axis %= len(sizes)
        if axis == 0:
            raise FoldError(layer.name, "it selects samples", "Select along another axis than the first.")
        yield axis, np.ravel(_SELECT[name](np.arange(sizes[axis]), part, *arguments))


def _nearest(x: np.ndarray, part: int, size: int) -> np.ndarray:
    # TensorFlow computes the positions in float32.
    scale = np.float32(len(x)) / np.float32(size)
    places = np.floor((np.arange(size, dtype=np.float32) + np.float32(0.5)) * scale).astype(int)
    return x[np.minimum(places, len(x) - 1)]


def _cut(x: np.ndarray, part: int, before: int, after: int | None, size: int | None) -> np.ndarray:
    return x[before : len(x) - after] if after is not None else x[before:][:size]


# Functions of the positions on an axis, the number of the output and arguments that return the positions taken.
_SELECT: dict[str, Callable[..., np.ndarray]] = {
    "slice": lambda x, part, *bounds: x[slice(*bounds)],
    "take": lambda x, part, indices: x[np.asarray(indices, int)],
    "flip": lambda x, part: x[::-1],
    "roll": lambda x, part, shift: np.roll(x, shift),
    "repeat": lambda x, part, count: np.repeat(x, count),
    "tile": lambda x, part, count: np.tile(x, count),
    "pad": lambda x, part, before, after, mode: np.pad(x, (before, after), mode=mode),
    "split": lambda x, part, sections: np.array_split(x, sections)[part],
    "unstack": lambda x, part: x[part : part + 1],
    "nearest": _nearest,
    "cut": _cut,
}


def _selected(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    x = inputs[0]
    for axis, positions in _positions(Layer("", "select", attributes=attributes), x.shape, 0):
        x = np.take(x, positions, axis)
    return x.reshape(len(x), *shape[1:])


def _along(axis: Any, name: str, *arguments: Any) -> Attributes | None:
    """Returns the attributes of one selection along one axis."""
    return {"selections": ((axis, name, arguments),)} if isinstance(axis, int) and axis != 0 else None


def _argument(config: Mapping[str, Any], call: Call | None, name: str, position: int = 1) -> Any:
    """Returns an argument of the configuration of an operation, or of its call if this has it."""
    if name in config or call is None:
        return config.get(name)
    return call.kwargs.get(name, call.args[position] if len(call.args) > position else None)


def _moved_axes(attributes: Mapping[str, Any], rank: int) -> tuple[int, ...]:
    """Returns the permutation of all axes that moves `sources` to `targets`, or swaps them if there is one of each."""
    sources, targets = ([axis % rank for axis in attributes[name]] for name in ("sources", "targets"))
    if attributes["swaps"]:
        order = list(range(rank))
        order[sources[0]], order[targets[0]] = targets[0], sources[0]
        return tuple(order)
    order = [axis for axis in range(rank) if axis not in sources]
    for target, source in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source)
    return tuple(order)


def _axes(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _moves(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"sources": _axes(config["source"]), "targets": _axes(config["destination"]), "swaps": False}


def _swaps(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"sources": (config["axis1"],), "targets": (config["axis2"],), "swaps": True}


def _stacked_axis(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    axis = config.get("axis") if "axis" in config or call is None else call.kwargs.get("axis", 0)
    return {"axis": axis} if isinstance(axis, int) and axis != 0 else None


def _is_whole(entry: Any) -> bool:
    return isinstance(entry, slice) and entry == slice(None)


def _of_key(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    """Reads the key of `x[key]`: slices, integers, new axes and one ellipsis, with the whole batch first."""
    key = _argument(config, call, "key")
    key = [slice(*entry.values()) if isinstance(entry, dict) else entry for entry in _listed(key)]  # of tf_keras
    if call is None or len(call.inputs) != 1 or not (_is_whole(key[0]) or key[0] is Ellipsis):
        return None
    if sum(entry is Ellipsis for entry in key) > 1:
        return None
    before = key.index(Ellipsis) if Ellipsis in key else len(key)
    entries = [(number, entry) for number, entry in enumerate(_of_tensor(key[:before]))]
    last = _of_tensor(key[before + 1 :])
    entries += [(number - len(last), entry) for number, entry in enumerate(last)]
    selections: list[Selection] = []
    for axis, entry in entries:
        if isinstance(entry, slice) and all(bound is None or isinstance(bound, int) for bound in _bounds(entry)):
            selections += [] if _is_whole(entry) else [(axis, "slice", _bounds(entry))]
        elif isinstance(entry, int) and not isinstance(entry, bool):
            selections.append((axis, "take", ((entry,),)))
        else:
            return None
    return {"selections": tuple(selections)}


def _listed(key: Any) -> Sequence[Any]:
    return key if isinstance(key, list | tuple) else [key]


def _of_tensor(entries: Sequence[Any]) -> list[Any]:
    """Returns the entries of a key that stand for axes of the tensor, without new axes."""
    return [entry for entry in entries if entry is not None]


def _bounds(entry: slice) -> tuple[Any, Any, Any]:
    return entry.start, entry.stop, entry.step


def _take(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    try:
        indices = np.asarray(_argument(config, call, "indices"))
    except (TypeError, ValueError):
        return None
    constant = call is not None and len(call.inputs) == 1 and indices.dtype.kind in "iu"
    constant = constant and not _argument(config, call, "batch_dims", 99)
    return _along(_argument(config, call, "axis", 2), "take", indices.tolist()) if constant else None


def _flip(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    axes = _argument(config, call, "axis")
    axes = axes if isinstance(axes, list | tuple) else (axes,)
    known = all(isinstance(axis, int) and axis != 0 for axis in axes)
    return {"selections": tuple((axis, "flip", ()) for axis in axes)} if known else None


def _repeat(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    count = _argument(config, call, "repeats")
    return _along(_argument(config, call, "axis", 2), "repeat", count) if isinstance(count, int) else None


def _tile(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    counts = _argument(config, call, "repeats") or _argument(config, call, "multiples")
    if not isinstance(counts, list | tuple) or counts[0] != 1:
        return None
    selections = ((axis - len(counts), "tile", (count,)) for axis, count in enumerate(counts) if count != 1)
    return {"selections": tuple(selections)}


def _reflected(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    widths = _argument(config, call, "pad_width") or _argument(config, call, "paddings")
    mode = str(_argument(config, call, "mode", 2)).lower()
    if mode not in ("reflect", "symmetric") or tuple(widths[0]) != (0, 0):
        return None
    sides = ((axis - len(widths), "pad", (*side, mode)) for axis, side in enumerate(widths) if any(side))
    return {"selections": tuple(sides)}


def _split(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    is_of_keras = "function" not in config
    sections = _argument(config, call, "indices_or_sections" if is_of_keras else "num_or_size_splits")
    if not is_of_keras and isinstance(sections, list | tuple):  # sizes, not positions
        sections = np.cumsum(sections)[:-1].tolist()
    return _along(_argument(config, call, "axis", 2), "split", sections)


def _unstack(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return _along(_argument(config, call, "axis", 2), "unstack")


def _of_image(*, rows: Sequence[Any], columns: Sequence[Any], name: str) -> Attributes:
    return {"selections": ((1, name, tuple(rows)), (2, name, tuple(columns)))}


def _nearest_size(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    size = resized_to(config, call, "nearest")
    return None if size is None else _of_image(rows=size[:1], columns=size[1:], name="nearest")


def resized_to(config: Mapping[str, Any], call: Call | None, interpolation: str) -> tuple[int, int] | None:
    """Returns the height and width to which an operation or layer resizes images with an interpolation, or None."""
    others = ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "preserve_aspect_ratio")
    kind = config.get("interpolation") or _argument(config, call, "method", 2) or "bilinear"
    size = (config["height"], config["width"]) if "height" in config else _argument(config, call, "size")
    if kind != interpolation or any(_argument(config, call, name, 99) for name in others):
        return None
    return (int(size[0]), int(size[1])) if isinstance(size, list | tuple) and len(size) == 2 else None


def _cropped_image(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    rows = [config.get(name) for name in ("top_cropping", "bottom_cropping", "target_height")]
    columns = [config.get(name) for name in ("left_cropping", "right_cropping", "target_width")]
    known = rows[0] is not None and columns[0] is not None
    return _of_image(rows=rows, columns=columns, name="cut") if known else None


OPERATORS = (
    movement(
        "select",
        lower_select,
        _selected,
        classes={
            **dict.fromkeys(("GetItem", "__operators__.getitem"), _of_key),
            **dict.fromkeys(("Take", "gather"), _take),
            **dict.fromkeys(("Flip", "reverse"), _flip),
            "Roll": lambda config, call: _along(config.get("axis"), "roll", config["shift"]),
            **dict.fromkeys(("Repeat", "repeat"), _repeat),
            **dict.fromkeys(("Tile", "tile"), _tile),
            **dict.fromkeys(("Pad", "pad"), _reflected),
            **dict.fromkeys(("Split", "ArraySplit", "split"), _split),
            **dict.fromkeys(("Unstack", "unstack"), _unstack),
            **dict.fromkeys(("Resize", "Resizing", "image.resize"), _nearest_size),
            "CropImages": _cropped_image,
        },
        forms={
            "GetItem": "with the whole batch first, then slices, integers, new axes or an ellipsis",
            "Take": "of constant indices along an axis after the first",
            "Resizing": '"nearest" or "bilinear", without cropping, padding or antialiasing',
        },
        needed=("selections",),
    ),
    movement(
        "move_axes",
        lower_move_axes,
        lambda inputs, attributes, shape: inputs[0].transpose(_moved_axes(attributes, inputs[0].ndim)),
        classes={"Moveaxis": _moves, "Swapaxes": _swaps},
        needed=("sources", "targets", "swaps"),
    ),
    movement(
        "stack",
        lower_stack,
        lambda inputs, attributes, shape: np.stack(inputs, attributes["axis"]),
        classes=dict.fromkeys(("Stack", "stack"), _stacked_axis),
        joins=True,
        needed=("axis",),
    ),
)
OPERATIONS = (OperationKind("gather", write_gather),)
