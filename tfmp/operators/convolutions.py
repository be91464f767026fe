"""Layers with a kernel, and the integer operations that multiply by one: convolutions and dense layers.

- conv2d: q(float32(conv(x, kernel) + bias) * multiplier), with `strides`, `padding`, `dilation` and `groups`; kernel
  `[h, w, in / groups, out]`.
- depthwise_conv2d: the same, with `strides`, `padding` and `dilation`; kernel `[h, w, channels, depth_multiplier]`.
- dense: the same, over the last axis; kernel `[in, out]`.
- conv2d_transpose: the same, with `strides` and `padding`; kernel `[h, w, out, in]`.

All have the constants `kernel`, int8 codes; `bias`, int32 per output channel in units of `input_scale * kernel_scale`;
and `kernel_scale`, float32 per output channel. `multiplier[c] = float32(input_scale * kernel_scale[c] / output_scale)`;
accumulators are exact integers. `conv2d` and `dense` have an attribute `container_bits`, 4 or 2 where the file is to
pack their codes so; it changes no result. Neither does `index_bits`, with which the file has indices into tables of
codes, of so many bits unless the codes need more.

Limits: kernel codes are -127 to 127; `multiplier` is below 256, and `multiplier * reach` below `LARGEST_PRODUCT`,
beyond which the runtime overflows; `kernel_scale` and `input_scale * kernel_scale` are at least `SMALLEST_SCALE`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Call, Layer
from tfmp.graph.integer_graph import IntegerOperation
from tfmp.graph.open_values import Constant, dilated, padded
from tfmp.operators.affine_map import AffineMap
from tfmp.operators.fold_error import CHANNELS_FIRST, FoldError
from tfmp.operators.integer_builder import Codes, IntegerBuilder, Sizes
from tfmp.operators.kernel import Kernel
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operation_kind import OperationKind
from tfmp.operators.operator import QUANTIZES, Attributes, Operator
from tfmp.operators.operator_table import (
    activation_name,
    fused_activations,
    fused_clip,
    kernel_of,
    operator_of_function,
)
from tfmp.operators.writing import UNFUSED, Options, TensorTable
from tfmp.operators.writing.gathered_windows import filled_input, gathered_windows
from tfmp.operators.writing.kernel_constants import packed_bits_of, with_constants

_PADDINGS = ("same", "valid")


def lower_product(lowering: LoweringContext, call: Call, codes: Codes, *, after: AffineMap | None = None) -> str:
    """Adds a product of codes, including its bias, the affine map after it and the clip of a ReLU.

    Args:
        lowering: The `Lowering` that requests it.
        call: The layer's call.
        codes: The codes of the output, after the map.
        after: The affine map after the product that the same operation computes, or None.
    """
    layer, graph, builder = lowering.graph.layer_of(call), lowering.graph, lowering.builder
    kernel = kernel_of(layer)
    clip = fused_clip(layer.attributes.get("activation", "linear"))
    if clip is not None and after is None:  # with a map after it, the codes already include the clip
        codes = codes.between(*clip)
    grid = lowering.grid(layer)
    source = lowering.demand(call.inputs[0], Codes.all_of(grid))
    attributes = window_attributes(layer, planar=kernel.is_planar)
    constants, stored = lowering.values.kernel(layer, after, grid.scale)
    shape = graph.tensors[call.outputs[0]].shape
    if kernel.is_planar:
        source = builder.as_rows(source, layer.name)
        if layer.attributes["padding"] == "causal":
            before = (layer.require_shape().kernel_size[1] - 1) * attributes["dilation"][1]
            source = builder.padded(source, f"{layer.name}_padding", ((0, 0), (before, 0)))
            attributes["padding"] = "valid"
    image_shape = (shape[0], 1, *shape[1:]) if kernel.is_planar else shape
    begin, whole = (0, 0), image_shape
    if kernel.is_transposed:  # the runtime dilates no kernel
        constants = {**constants, "kernel": dilated(constants["kernel"], attributes.pop("dilation", (1, 1)))}
        window = constants["kernel"].shape[:2]
        source, attributes, begin, whole = _with_room(builder, source, layer.name, image_shape, window, attributes)
    product = builder.add(
        kernel.operation,
        (source,),
        layer.name,
        whole,
        codes,
        attributes={**attributes, **stored},
        constants=constants,
        layer=layer.name,
    )
    product = builder.cropped(product, f"{layer.name}_box", begin, image_shape)
    return builder.reshaped(product, f"{layer.name}_sequence", shape)


def _with_room(
    builder: IntegerBuilder, source: str, name: str, shape: Sizes, window: Sequence[int], attributes: Attributes
) -> tuple[str, Attributes, tuple[int, int], Sizes]:
    """Returns how a transposed convolution computes an output of any size, which may begin later and end earlier.

    The runtime has one output size for each input size. For the others, of `output_padding`, it computes more.

    Returns:
        The input, with zeros after it if it is too small; the attributes; where the output begins in what the
        convolution computes, (row, column); and the shape of that.
    """
    is_same, sizes = attributes["padding"] == "same", builder.sizes(source)[1:3]
    axes = list(zip(sizes, window, attributes["strides"], shape[1:3], strict=True))
    usual = tuple((size - 1) * step + (step if is_same else max(taps, step)) for size, taps, step, _ in axes)
    if None in shape[1:] or usual == tuple(shape[1:3]):
        return source, attributes, (0, 0), shape
    begin = [max((size - 1) * step + taps - end, 0) // 2 if is_same else 0 for size, taps, step, end in axes]
    whole = [(size - 1) * step + max(taps, step) for size, taps, step, _ in axes]
    for axis, (_, _, step, end) in enumerate(axes):
        missing = max(-(-(begin[axis] + end - whole[axis]) // step), 0)
        whole[axis] += missing * step
        after = [(0, 0), (0, 0)]
        after[axis] = 0, missing
        source = builder.padded(source, f"{name}_room", after) if missing else source
    return source, {**attributes, "padding": "valid"}, (begin[0], begin[1]), (shape[0], *whole, shape[3])


def window_attributes(layer: Layer, *, planar: bool) -> Attributes:
    """Returns strides, padding and window of a layer as attributes of an `IntegerOperation`, pairs of height and width.

    If `planar`, the layer runs along one axis, which becomes the width of images of height 1.
    """
    names = {"dilation_rate": "dilation"}
    wanted = ("strides", "padding", "pool_size", "dilation_rate", "groups")
    attributes = {names.get(key, key): layer.attributes[key] for key in wanted if key in layer.attributes}
    for key in ("strides", "dilation", "pool_size"):
        if attributes.get(key) is not None:
            value = attributes[key]
            pair = tuple(value) if isinstance(value, list | tuple) else (value,)
            attributes[key] = (1, *pair) if planar else (pair * 2)[:2]
    return attributes


def check_product(layer: Layer) -> None:
    """Raises `FoldError` if no integer operation computes a layer with a kernel."""
    if layer.attributes.get("data_format") == "channels_first":
        raise FoldError(layer.name, *CHANNELS_FIRST)
    if layer.shape is None:
        raise FoldError(
            layer.name, "its output size is not fixed, as those of a file are", "Give the model a fixed input shape."
        )
    if layer.weight.formats[0].is_float or layer.activation.formats[0].is_float:
        raise FoldError(
            layer.name,
            "it has its weights or its input in floating point, which a network of integers cannot hold",
            'Give it bits for both, as `tfmp.relax` does unless `first_and_last="float"`; or export with '
            '`mode="float"`.',
        )
    activation = layer.attributes.get("activation", "linear")
    if fused_clip(activation) is None:
        raise FoldError(
            layer.name,
            f"its activation {activation!r} cannot be a part of an integer operator",
            f"Expected one of {', '.join(fused_activations())}; make it a separate layer, as `tfmp.relax` does.",
        )


def write_conv2d(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes CONV_2D, kernel `[out, h, w, in / groups]`; the runtime infers the groups from the sizes.

    Only FULLY_CONNECTED can read a packed kernel. Its input has all values of a window as the channels of a position.
    """
    kernel = operation.constants["kernel"]
    channels = table.shape(operation.inputs[0])[-1]
    groups = operation.attributes.get("groups", 1)
    if kernel.ndim != 4 or channels != kernel.shape[2] * groups or kernel.shape[3] % groups:
        raise ValueError(
            f"`kernel` must be [height, width, {channels} / groups, filters], the filters a multiple of groups. "
            f"Received: shape {kernel.shape}, groups={groups} at operation {operation.name!r}."
        )
    if table.target.gathers_windows and packed_bits_of(operation, table.target):
        source, kernel = gathered_windows(table, operation)
        _add_fully_connected(table, operation, source, kernel)
        return
    options = Options("Conv2DOptions", {**UNFUSED, **window_options(operation, dilates=True)})
    inputs = with_constants(table, operation, kernel.transpose(3, 0, 1, 2), axis=0)
    table.add_operator(operation, "CONV_2D", inputs, version=6 if groups > 1 else 3, options=options)


def write_depthwise_conv2d(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes DEPTHWISE_CONV_2D, kernel `[1, h, w, channels * depth_multiplier]`."""
    kernel = operation.constants["kernel"]
    channels = table.shape(operation.inputs[0])[-1]
    if kernel.ndim != 4 or kernel.shape[2] != channels:
        raise ValueError(
            f"`kernel` must be [height, width, {channels}, depth_multiplier]. Received: shape {kernel.shape} at "
            f"operation {operation.name!r}."
        )
    add_depthwise(table, operation, kernel)


def add_depthwise(table: TensorTable, operation: IntegerOperation, kernel: Constant, **arguments: Any) -> None:
    """Appends a depthwise convolution by the operation's constants and an `[h, w, channels, multiplier]` kernel."""
    height, width, channels, depth_multiplier = kernel.shape
    window = window_options(operation, dilates=True)
    options = Options("DepthwiseConv2DOptions", {**UNFUSED, **window, "depth_multiplier": depth_multiplier})
    flat = kernel.reshape(1, height, width, channels * depth_multiplier)
    inputs = with_constants(table, operation, flat, axis=3)
    table.add_operator(operation, "DEPTHWISE_CONV_2D", inputs, version=3, options=options, **arguments)


def write_dense(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes FULLY_CONNECTED over the last axis, kernel `[out, in]`, one scale per row."""
    kernel = operation.constants["kernel"]
    shape = table.shape(operation.inputs[0])
    if kernel.ndim != 2 or kernel.shape[0] != shape[-1]:
        raise ValueError(
            f"`kernel` must be [{shape[-1]}, units]. Received: shape {kernel.shape} at operation {operation.name!r}."
        )
    fills = table.target.gathers_windows and packed_bits_of(operation, table.target)
    source, kernel = filled_input(table, operation) if fills else (None, kernel)
    _add_fully_connected(table, operation, source, kernel)


def _add_fully_connected(table: TensorTable, operation: IntegerOperation, source: int | None, kernel: Constant) -> None:
    """Writes FULLY_CONNECTED with an `[in, out]` kernel; `source` is the index of its input if not the operation's."""
    keeps = len(table.shape(operation.output)) > 2
    options = Options("FullyConnectedOptions", {**UNFUSED, "keep_num_dims": keeps})
    inputs = with_constants(table, operation, kernel.T, axis=0)
    if source is not None:
        inputs[0] = source
    table.add_operator(operation, "FULLY_CONNECTED", inputs, version=5 if keeps else 4, options=options)


def write_conv2d_transpose(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes TRANSPOSE_CONV, kernel `[out, h, w, in]`; the output's shape is its first input."""
    kernel = operation.constants["kernel"]
    channels = table.shape(operation.inputs[0])[-1]
    if kernel.ndim != 4 or kernel.shape[3] != channels:
        raise ValueError(
            f"`kernel` must be [height, width, filters, {channels}]. Received: shape {kernel.shape} at operation "
            f"{operation.name!r}."
        )
    window = window_options(operation)
    strides = np.array([window["stride_h"], window["stride_w"]])
    # XNNPACK refuses kernels smaller than the strides; adding zeros changes neither result nor shape.
    missing = np.maximum(strides - kernel.shape[:2], 0)
    kernel = padded(kernel, [*((0, count) for count in missing), (0, 0), (0, 0)])
    beyond = np.array(kernel.shape[:2]) - strides if window["padding"] == "VALID" else 0
    expected, shape = (
        tuple((np.array(table.shape(operation.inputs[0])[1:3]) * strides + beyond).tolist()),
        table.shape(operation.output),
    )
    if shape[1:3] != expected:
        raise ValueError(
            f"`conv2d_transpose` computes height and width {expected}. Received: {shape[1:3]} at operation "
            f"{operation.name!r}. Add a `pad` operation before it and a `slice` after it."
        )
    source, kernel_index, bias = with_constants(table, operation, kernel.transpose(2, 0, 1, 3), axis=0)
    sizes = table.sink.constant(f"{operation.name}/shape", np.array(shape, np.int32))
    options = Options("TransposeConvOptions", {**UNFUSED, **window})
    table.add_operator(operation, "TRANSPOSE_CONV", [sizes, kernel_index, source, bias], version=4, options=options)


def window_options(operation: IntegerOperation, *, dilates: bool = False) -> dict[str, int | str]:
    """Returns padding, strides and, if the operator has one, dilation as fields of its options."""
    padding = operation.attributes.get("padding", "valid")
    if padding not in _PADDINGS:
        raise ValueError(
            f"`padding` must be 'same' or 'valid'. Received: {padding!r} at operation {operation.name!r}. "
            "Put a `pad` operation before it for other paddings."
        )
    rows, columns = operation.attributes.get("strides", (1, 1))
    window = {"padding": padding.upper(), "stride_h": rows, "stride_w": columns}
    if dilates:
        window["dilation_h_factor"], window["dilation_w_factor"] = operation.attributes.get("dilation", (1, 1))
    return window


def _non_negative(layer: Layer, inputs: bool) -> bool:
    operator = operator_of_function(layer.attributes.get("activation", "linear"))
    return operator is not None and operator[0].non_negative(layer, False)


def read_activation(config: Mapping[str, Any], call: Call | None) -> Attributes:
    """Returns the attributes of a layer with a kernel that every such layer has."""
    return {"activation": activation_name(config)}


def _product(
    class_name: str, axes: str, kind: str, operation: str, *, instead_of: Sequence[str] = (), **kernel: Any
) -> Operator:
    return Operator(
        kind,
        lower_product,
        classes={class_name: read_activation},
        instead_of=dict.fromkeys(instead_of, class_name),
        order_free=True,  # reported by `check_product`
        reads=QUANTIZES,
        non_negative=_non_negative,
        check=check_product,
        kernel=Kernel(axes, operation, **kernel),
        channels="depthwise" if "m" in axes else "filters",
    )


_INSTEAD_OF_DENSE = ("Dot", "Einsum", "EinsumDense", "Matmul", "einsum", "linalg.matmul")
OPERATORS = (
    _product("Conv2D", "hwio", "conv2d", "conv2d", instead_of=("Conv", "nn.conv2d")),
    _product(
        "DepthwiseConv2D",
        "hwim",
        "depthwise_conv2d",
        "depthwise_conv2d",
        size_argument="",
        instead_of=("DepthwiseConv", "nn.depthwise_conv2d"),
    ),
    _product("Conv2DTranspose", "hwoi", "conv2d_transpose", "conv2d_transpose", instead_of=("ConvTranspose",)),
    _product("Conv1DTranspose", "woi", "conv1d_transpose", "conv2d_transpose"),
    _product("Conv1D", "wio", "conv1d", "conv2d", shape_kind="conv1d"),
    _product("DepthwiseConv1D", "wim", "depthwise_conv1d", "depthwise_conv2d", size_argument=""),
    _product("Dense", "io", "dense", "dense", size_argument="units", instead_of=_INSTEAD_OF_DENSE),
)
OPERATIONS = (
    OperationKind("conv2d", write_conv2d),
    OperationKind("depthwise_conv2d", write_depthwise_conv2d),
    OperationKind("dense", write_dense),
    OperationKind("conv2d_transpose", write_conv2d_transpose),
)
