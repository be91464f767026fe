"""Derives the `LayerShape` of layers that multiply and accumulate."""

import math

from tfmp.graph import LayerShape
from tfmp.operators import TABLE


def layer_shape(name, kind, attributes, input_shape, output_shape, *, kernel_shape, reads_network_input):
    """Returns the `LayerShape` of a multiplying layer, or None if the size of its input or output is not known.

    Args:
        name: Name of the layer.
        kind: Its kind.
        attributes: Its attributes.
        input_shape: With the batch.
        output_shape: The same.
        kernel_shape: As the framework has it.
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
