"""Pooling over windows and over whole images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call
from tfmp.operators.convolutions import window_attributes
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operator import MOVES, Attributes, Operator, as_inputs, given


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
    """Adds the average of every window: a convolution by ones, or with padding an average on the input's grid."""
    layer, attributes = lowering.graph.layer_of(call), _window(lowering, call)
    stored = lowering.stored(call.inputs[0], layer.name)
    if attributes["padding"] == "valid":
        return _of_ones(lowering, call, stored, codes, attributes)
    input_codes = Codes.all_of(lowering.stored_grid(call.inputs[0], layer.name))
    average = _planar(lowering, call, stored, "average_pool", input_codes, attributes)
    return lowering.requantized(call.outputs[0], average, input_codes, codes)


def lower_mean(lowering: LoweringContext, call: Call, codes: Codes) -> str:
    """Adds the mean over all positions."""
    builder, name = lowering.builder, lowering.graph.layer_of(call).name
    shape = lowering.shape(call.outputs[0])
    source = _image(lowering, lowering.stored(call.inputs[0], name), name)
    batch, *_, channels = builder.sizes(source)
    keeps = len(shape) == 4
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
        non_negative=as_inputs,
        values=_pooled(np.nanmean, np.nan),
        needed=_WINDOW,
        channels="windowed",
    ),
    Operator(
        "global_max_pool",
        lower_global_max_pool,
        classes={"GlobalMaxPooling1D": given(), "GlobalMaxPooling2D": given()},
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
        non_negative=as_inputs,
        values=lambda inputs, attributes, shape: inputs[0].mean(
            _positions(inputs[0]), keepdims=bool(attributes["keepdims"])
        ),
        needed=("keepdims",),
        channels="pooled",
    ),
)
