"""Pooling over windows and over whole images.

- mean: rint(float32(sum(x + input_zero_point)) * m + b) - zero_point, over height and width, with `keepdims`; of n
  values, half to even with the zero point on: `m = (input_scale / scale) * (1 / n)`,
  `b = zero_point - float32(n * input_zero_point) * m`. Close to q(mean * input_scale / scale).
- average_pool: mean over the window, padding not counted, with `pool_size`, `strides` and `padding`. Of n values
  q(float32(sum) * (scale * float32(1 / n) / scale)) where no window reaches beyond the edge and n is at most 25; else
  mean + zero_point, rounded half away from zero, minus zero_point.
- max_pool: maximum over the window, with the same attributes.

All tensors of average_pool and max_pool are on one scale with one `high`. The runtime's own kernels, not XNNPACK,
compute the latter average_pool, and max_pool with strides beyond the window.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.runtime_limits import LARGEST_FAST_WINDOW
from tfmp.operators.convolutions import add_depthwise, window_attributes, window_options
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import MOVES, Attributes, Operator, as_inputs, given
from tfmp.operators.writing import UNFUSED, Options, TensorTable


def lower_max_pool(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the maximum of every window."""
    attributes, source = _window(lowering, call), lowering.demand(call.inputs[0], codes)
    all_codes = Codes.all_of(codes.grid)  # the operation that computes the input clips
    if tuple(attributes["pool_size"]) == (
        1,
        1,
    ):  # only strides: the runtime is faster with a product by one
        return _of_ones(lowering, call, source, all_codes, attributes)
    return _planar(lowering, call, source, "max_pool", all_codes, attributes)


def lower_global_max_pool(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the maximum over all positions."""
    builder, name = lowering.builder, lowering.graph.layer_of(call).name
    source = _image(lowering, lowering.demand(call.inputs[0], codes), name)
    all_codes = Codes.all_of(codes.grid)
    batch, height, width, channels = builder.sizes(source)
    window = {"pool_size": (height, width), "strides": (height, width), "padding": "valid"}
    pooled = builder.add("max_pool", (source,), name, (batch, 1, 1, channels), all_codes, attributes=window, layer=name)
    return builder.reshaped(pooled, f"{name}_values", lowering.shape(call.outputs[0]))


def lower_average_pool(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the average of every window.

    It is the mean if the only window is the whole image; else a convolution by ones; or an average on the input's grid,
    with padding or where a large window's average has this grid.
    """
    layer, attributes = lowering.graph.layer_of(call), _window(lowering, call)
    stored = lowering.stored(call.inputs[0], layer.name)
    num_windows = math.prod(size or 1 for size in lowering.shape(call.outputs[0])[1:-1])
    if num_windows == 1 and _covers(lowering.shape(call.inputs[0])[1:-1], attributes["pool_size"]):
        return _mean_of_image(lowering, call, stored, codes, keeps=True)
    input_codes = Codes.all_of(lowering.stored_grid(call.inputs[0], layer.name))
    is_large = math.prod(attributes["pool_size"]) > LARGEST_FAST_WINDOW
    if attributes["padding"] == "valid" and not (is_large and codes == input_codes):
        return _of_ones(lowering, call, stored, codes, attributes)
    average = _planar(lowering, call, stored, "average_pool", input_codes, attributes)
    return lowering.requantized(call.outputs[0], average, input_codes, codes)


def lower_mean(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the mean over all positions."""
    stored = lowering.stored(call.inputs[0], lowering.graph.layer_of(call).name)
    return _mean_of_image(lowering, call, stored, codes, keeps=len(lowering.shape(call.outputs[0])) == 4)


def _mean_of_image(lowering: LoweringContext, call: Call, source: str, codes: Codes, *, keeps: bool) -> str:
    builder, name, shape = lowering.builder, lowering.graph.layer_of(call).name, lowering.shape(call.outputs[0])
    source = _image(lowering, source, name)
    batch, *_, channels = builder.sizes(source)
    sizes = (batch, 1, 1, channels) if keeps else (batch, channels)
    mean = builder.add("mean", (source,), name, sizes, codes, attributes={"keepdims": keeps}, layer=name)
    return builder.reshaped(mean, f"{name}_values", shape)


def _of_ones(lowering: LoweringContext, call: Call, source: str, codes: Codes, attributes: Attributes) -> str:
    """Adds the averages of windows within the image, as a convolution by ones."""
    channels, pool = lowering.shape(call.outputs[0])[-1], attributes["pool_size"]
    constants = {
        "kernel": np.ones((*pool, channels, 1), np.int8),
        "kernel_scale": np.full(channels, 1 / np.prod(pool), np.float32),
        "bias": np.zeros(channels, np.int32),
    }
    attributes = {"strides": attributes["strides"], "padding": "valid", "dilation": (1, 1)}
    return _planar(lowering, call, source, "depthwise_conv2d", codes, attributes, constants)


def _covers(sizes: Sequence[int | None], pool_size: Sequence[int]) -> bool:
    """Returns True if one window has all positions of an image, or of a sequence, and no others."""
    return (1,) * (2 - len(sizes)) + tuple(sizes) == tuple(pool_size)


def _window(lowering: LoweringContext, call: Call) -> Attributes:
    layer = lowering.graph.layer_of(call)
    attributes = window_attributes(layer, planar=len(lowering.shape(call.inputs[0])) == 3)
    return {
        "strides": attributes["pool_size"],
        **{key: value for key, value in attributes.items() if value is not None},
    }


def _image(lowering: LoweringContext, source: str, name: str) -> str:
    shape = lowering.builder.tensors[source].shape
    if len(shape) not in (3, 4):
        raise FoldError(name, f"it pools over {len(shape) - 2} axes, the runtime over two", "Pool over one or two.")
    return lowering.builder.as_rows(source, name) if len(shape) == 3 else source


def _planar(
    lowering: LoweringContext,
    call: Call,
    source: str,
    kind: str,
    codes: Codes,
    attributes: Mapping[str, Any],
    constants: Mapping[str, np.ndarray] | None = None,
) -> str:
    """Adds an operation over height and width of an image, or of a sequence as an image of height 1."""
    builder, name, shape = lowering.builder, lowering.graph.layer_of(call).name, lowering.shape(call.outputs[0])
    source = _image(lowering, source, name)
    image_shape = shape if len(shape) == 4 else (shape[0], 1, *shape[1:])
    output = builder.add(
        kind, (source,), name, image_shape, codes, attributes=attributes, constants=constants, layer=name
    )
    return builder.reshaped(output, f"{name}_sequence", shape)


def write_max_pool(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes MAX_POOL_2D; padding is never the maximum."""
    _add_pool(table, operation, "MAX_POOL_2D")


def write_average_pool(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes a depthwise convolution by ones if the target wants it and every window is small and within the image.

    The convolution rounds half to even and runs in XNNPACK, faster for small windows, but divides by the same number
    everywhere. Otherwise writes AVERAGE_POOL_2D, which does not count padding, and rounds half away from zero.
    """
    is_large = math.prod(operation.attributes["pool_size"]) > LARGEST_FAST_WINDOW
    if is_large or _pads(table, operation) or not table.target.averages_by_convolution:
        _add_pool(table, operation, "AVERAGE_POOL_2D")
        return
    table.same_grid(operation)
    height, width = operation.attributes["pool_size"]
    channels = table.shape(operation.inputs[0])[-1]
    constants = {
        "kernel": np.ones((height, width, channels, 1), np.int8),
        "bias": np.zeros(channels, np.int32),
        "kernel_scale": np.full(channels, 1 / (height * width), np.float32),
    }
    attributes = {"strides": operation.attributes["pool_size"], **operation.attributes, "padding": "valid"}
    convolution = dataclasses.replace(operation, attributes=attributes, constants=constants)
    add_depthwise(table, convolution, constants["kernel"], reach=_reach(table, operation))


def write_mean(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes MEAN over the second and third axis."""
    rank = len(table.shape(operation.inputs[0]))
    if rank != 4:
        raise ValueError(f"`mean` needs [batch, height, width, channels]. Received: rank {rank} at {operation.name!r}.")
    options = Options("ReducerOptions", {"keep_dims": bool(operation.attributes.get("keepdims", False))})
    axes = table.sink.constant(f"{operation.name}/axes", np.array([1, 2], np.int32))
    grid = table.grid(operation.inputs[0])
    # Its rounding depends on the zero point, so it must not write into a helper tensor.
    table.add_operator(
        operation,
        "MEAN",
        [table.index(operation.inputs[0]), axes],
        version=2,
        options=options,
        reach=(0 if grid.low >= 0 else -math.inf, math.inf),
        keeps_zero_point=True,
    )


def _add_pool(table: TensorTable, operation: IntegerOperation, kind: str) -> None:
    table.same_grid(operation)
    pool_size = operation.attributes["pool_size"]
    attributes = {"strides": pool_size, **operation.attributes}
    window = window_options(dataclasses.replace(operation, attributes=attributes))
    sizes = dict(zip(("filter_height", "filter_width"), pool_size, strict=True))
    options = Options("Pool2DOptions", {**UNFUSED, **window, **sizes})
    inputs = [table.index(operation.inputs[0])]
    reach = _reach(table, operation)
    table.add_operator(operation, kind, inputs, version=2, options=options, reach=reach, keeps_zero_point=True)


def _reach(table: TensorTable, operation: IntegerOperation) -> tuple[int, int]:
    grid = table.grid(operation.inputs[0])
    return grid.low, grid.high


def _pads(table: TensorTable, operation: IntegerOperation) -> bool:
    """Returns True if a window of a pooling with `padding="same"` reaches beyond the edge."""
    if operation.attributes.get("padding", "valid") != "same":
        return False
    pool_size = operation.attributes["pool_size"]
    strides = operation.attributes.get("strides", pool_size)
    sizes = table.shape(operation.inputs[0])[1:3]
    return any(
        (math.ceil(size / stride) - 1) * stride + window > size
        for size, stride, window in zip(sizes, strides, pool_size, strict=True)
    )


def _mean(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"keepdims": config.get("keepdims", False)}


def _mean_of_positions(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {} if config["axis"] in ((1, 2), [1, 2]) else None


def _pooled(
    reduce: Callable[..., np.ndarray], empty: float
) -> Callable[[Sequence[np.ndarray], Mapping[str, Any], tuple[int, ...]], np.ndarray]:
    def values(inputs: Sequence[np.ndarray], attributes: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        x, rank = inputs[0], inputs[0].ndim - 2
        size, strides = (_of_rank(attributes[name], rank) for name in ("pool_size", "strides"))
        if str(attributes["padding"]).lower() == "same":
            missing = [
                max((-(-length // stride) - 1) * stride + window - length, 0)
                for length, window, stride in zip(x.shape[1:-1], size, strides, strict=True)
            ]
            sides = [(0, 0), *((each // 2, each - each // 2) for each in missing), (0, 0)]
            x = np.pad(x, sides, constant_values=empty)
        axes = tuple(range(1, rank + 1))
        windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=axes)
        windows = windows[(slice(None), *(slice(None, None, stride) for stride in strides))]
        return reduce(windows, axis=tuple(range(-rank, 0)))

    return values


def _of_rank(value: Any, rank: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,) * rank


def _positions(x: np.ndarray) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))


_WINDOW = ("pool_size", "strides", "padding")
OPERATORS = (
    Operator(
        "max_pool",
        lower_max_pool,
        classes={"MaxPooling1D": given(), "MaxPooling2D": given()},
        instead_of={
            "AdaptiveMaxPooling1D": "MaxPooling1D",
            **dict.fromkeys(("AdaptiveMaxPooling2D", "MaxPool", "nn.max_pool2d"), "MaxPooling2D"),
        },
        reads=MOVES,
        non_negative=as_inputs,
        values=_pooled(np.max, -np.inf),
        needed=_WINDOW,
        channels="windowed",
    ),
    Operator(
        "average_pool",
        lower_average_pool,
        classes={"AveragePooling1D": given(), "AveragePooling2D": given()},
        instead_of={
            "AdaptiveAveragePooling1D": "AveragePooling1D",
            **dict.fromkeys(("AdaptiveAveragePooling2D", "AveragePool", "nn.avg_pool"), "AveragePooling2D"),
        },
        non_negative=as_inputs,
        values=_pooled(np.nanmean, np.nan),
        needed=_WINDOW,
        channels="windowed",
    ),
    Operator(
        "global_max_pool",
        lower_global_max_pool,
        classes={"GlobalMaxPooling1D": given(), "GlobalMaxPooling2D": given()},
        instead_of=dict.fromkeys(("Max", "math.reduce_max"), "GlobalMaxPooling2D"),
        reads=MOVES,
        non_negative=as_inputs,
        values=lambda inputs, attributes, shape: inputs[0].max(_positions(inputs[0])).reshape(-1, *shape[1:]),
        channels="pooled",
    ),
    Operator(
        "mean",
        lower_mean,
        classes={"GlobalAveragePooling1D": _mean, "GlobalAveragePooling2D": _mean, "Mean": _mean_of_positions},
        forms={"Mean": "over height and width"},
        instead_of={"math.reduce_mean": "GlobalAveragePooling2D"},
        non_negative=as_inputs,
        values=lambda inputs, attributes, shape: inputs[0].mean(
            _positions(inputs[0]), keepdims=bool(attributes["keepdims"])
        ),
        needed=("keepdims",),
        channels="pooled",
    ),
)
OPERATIONS = (
    OperationKind("mean", write_mean),
    OperationKind("average_pool", write_average_pool),
    OperationKind("max_pool", write_max_pool),
)
