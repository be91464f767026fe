"""Reads the kind and the shape of a layer of either Keras."""

import math
from collections.abc import Mapping
from typing import Any

from tfmp.graph import Call, LayerShape
from tfmp.operators import TABLE
from tfmp.operators.operator import Attributes
from tfmp.operators.operator_table import recognize

_FRAMEWORKS = ("keras", "tf_keras", "tfmp")
_MIXED_PREFIX = "MixedPrecision"


def kind_and_attributes(
    layer_class: type | str, config: Mapping[str, Any], *, call: Call | None = None, framework: str = "keras"
) -> tuple[str, Attributes]:
    """Returns a layer's kind and its framework-independent attributes.

    Args:
        layer_class: Its class, or the class of an operation used without a layer; or the name of such a class or of a
            TensorFlow function. A class of another package is known only if an operator lists the class itself.
        config: Its configuration.
        call: One `tfmp.graph.Call` of it: additions and products with a constant argument are affine maps.
        framework: `"keras"` or `"tf_keras"`, in which some names mean different things.

    Returns:
        `(kind, attributes)`; kind `"other"` if the library does not know it.
    """
    if isinstance(layer_class, type) and layer_class.__module__.split(".")[0] in _FRAMEWORKS:
        layer_class = layer_class.__name__.removeprefix(_MIXED_PREFIX)
    return recognize(layer_class, config, call=call, framework=framework)


def kernel_classes() -> dict[str, str]:
    """Returns the class names of the kinds of layers with a kernel, by kind."""
    first = {kind: next(iter(operator.classes)) for kind, operator in TABLE.items() if operator.kernel is not None}
    return {kind: name for kind, name in first.items() if isinstance(name, str)}


def has_kernel(kind: str) -> bool:
    """Returns True for the kinds of layers whose kernel can be quantized."""
    return kind in TABLE and TABLE[kind].kernel is not None


def layer_shape(name, kind, attributes, input_shape, output_shape, *, kernel_shape, reads_network_input):
    """Returns the `LayerShape` of a multiplying layer, or None if the size of its input or output is not known.

    Args:
        name: Name of the layer.
        kind: Its kind.
        attributes: Its attributes.
        input_shape: Shape of its input, with the batch.
        output_shape: Shape of its output, with the batch.
        kernel_shape: Shape of its kernel in the framework.
        reads_network_input: True if it reads an input of the model.
    """
    if attributes.get("data_format") == "channels_first":
        input_shape, output_shape = _channels_last(input_shape), _channels_last(output_shape)
    sizes = [shape[1:-1] for shape in (input_shape, output_shape)]
    if None in (*sizes[0], *sizes[1]):
        return None
    kernel = TABLE[kind].kernel
    window, groups = kernel.window(kernel_shape), attributes.get("groups", 1)
    in_channels = kernel.in_channels(kernel_shape, groups)
    if not window:
        window, strides, sizes = (1, 1), (1, 1), [(1, math.prod(size)) for size in sizes]
    elif kernel.is_planar:
        window, strides, sizes = (1, *window), (1, *_pair(attributes["strides"], 1)), [(1, *size) for size in sizes]
    else:
        strides = _pair(attributes["strides"], 2)
    return LayerShape(
        name,
        kernel.shape_kind or kernel.operation,
        kernel_size=window,
        strides=strides,
        in_channels=in_channels,
        out_channels=output_shape[-1],
        groups=in_channels if kernel.is_depthwise else groups,
        input_size=sizes[0],
        output_size=sizes[1],
        reads_network_input=reads_network_input,
    )


def _channels_last(shape):
    return (shape[0], *shape[2:], shape[1])


def _pair(value, rank):
    return tuple(value) if isinstance(value, list | tuple) else (value,) * rank
