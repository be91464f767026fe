"""Layers with a kernel: convolutions and dense layers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmp.graph import Call, Layer
from tfmp.operators.affine_chain import FUSED_ACTIVATIONS
from tfmp.operators.affine_map import AffineMap
from tfmp.operators.fold_error import CHANNELS_FIRST, FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.kernel import Kernel
from tfmp.operators.lowering_context import LoweringContext
from tfmp.operators.operator import QUANTIZES, Attributes, Operator
from tfmp.operators.operator_table import activation_name, kernel_of, operator_of_function

_NON_NEGATIVE = ("softplus", "exponential")  # functions of Keras that no operator computes


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
    clip = FUSED_ACTIVATIONS[layer.attributes.get("activation", "linear")]
    if clip is not None and after is None:  # with a map after it, the codes already include the clip
        codes = codes.between(*clip)
    grid = lowering.grid(layer)
    source = lowering.demand(call.inputs[0], Codes.all_of(grid))
    constants, container_bits = lowering.values.kernel(layer, after, grid.scale)
    shape = graph.tensors[call.outputs[0]].shape
    attributes = window_attributes(layer, planar=kernel.is_planar)
    if kernel.is_planar:
        source = builder.as_rows(source, layer.name)
        if layer.attributes["padding"] == "causal":
            before = (layer.require_shape().kernel_size[1] - 1) * attributes["dilation"][1]
            source = builder.padded(source, f"{layer.name}_padding", ((0, 0), (before, 0)))
            attributes["padding"] = "valid"
    product = builder.add(
        kernel.operation,
        (source,),
        layer.name,
        (shape[0], 1, *shape[1:]) if kernel.is_planar else shape,
        codes,
        attributes={**attributes, "container_bits": container_bits},
        constants=constants,
        layer=layer.name,
    )
    return builder.reshaped(product, f"{layer.name}_sequence", shape)


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
    if activation not in FUSED_ACTIVATIONS:
        raise FoldError(
            layer.name,
            f"its activation {activation!r} cannot be a part of an integer operator",
            f"Expected one of {', '.join(FUSED_ACTIVATIONS)}; make it a separate layer, as `tfmp.relax` does.",
        )
    free = layer.attributes.get("output_padding")
    dilated = any(step != 1 for step in np.ravel(layer.attributes.get("dilation_rate", 1)))
    if kernel_of(layer).is_transposed and (free is not None or dilated):
        raise FoldError(
            layer.name,
            "it is a transposed convolution with `output_padding` or dilation, which the runtime does not compute",
            "Omit both.",
        )


def _non_negative(layer: Layer, inputs: bool) -> bool:
    name = layer.attributes.get("activation", "linear")
    operator = operator_of_function(name)
    return name in _NON_NEGATIVE or (operator is not None and operator[0].non_negative(layer, False))


def _activation(config: Mapping[str, Any], call: Call | None) -> Attributes | None:
    return {"activation": activation_name(config)}


def _product(class_name: str, axes: str, kind: str, operation: str, **kernel: Any) -> Operator:
    return Operator(
        kind,
        lower_product,
        classes={class_name: _activation},
        order_free=True,  # reported by `check_product`
        reads=QUANTIZES,
        non_negative=_non_negative,
        check=check_product,
        kernel=Kernel(axes, operation, **kernel),
        channels="depthwise" if "m" in axes else "filters",
    )


def _separable(class_name: str, kind: str, *parts: str) -> Operator:
    return Operator(kind, classes={class_name: _activation}, parts=parts, channels="filters")


_TRANSPOSED = "a transposed convolution: the runtime computes it at 8 bits"
OPERATORS = (
    _product("Conv2D", "hwio", "conv2d", "conv2d", can_pack=True),
    _product("DepthwiseConv2D", "hwim", "depthwise_conv2d", "depthwise_conv2d", size_argument=""),
    _product("Conv2DTranspose", "hwoi", "conv2d_transpose", "conv2d_transpose", fixed_because=_TRANSPOSED),
    _product("Conv1D", "wio", "conv1d", "conv2d", shape_kind="conv1d", can_pack=True),
    _product("DepthwiseConv1D", "wim", "depthwise_conv1d", "depthwise_conv2d", size_argument=""),
    _product("Dense", "io", "dense", "dense", size_argument="units", can_pack=True),
    _separable("SeparableConv2D", "separable_conv2d", "depthwise_conv2d", "conv2d"),
    _separable("SeparableConv1D", "separable_conv1d", "depthwise_conv1d", "conv1d"),
)
