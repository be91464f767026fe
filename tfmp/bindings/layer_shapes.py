"""The shapes of layers that multiply and accumulate, from what their bindings read."""

import math

from tfmp.types import LayerShape

_PLANAR = {"conv1d": "conv1d", "depthwise_conv1d": "depthwise_conv2d"}  # what has a height of 1, and its kind then


def layer_shape(name, kind, attributes, output_shape, kernel_shape, *, reads_network_input, input_shape=None):
    """Returns the `LayerShape` of a multiplying layer, or None if its output size is not known.

    Args:
        name: Name of the layer.
        kind: Its kind.
        attributes: Its attributes.
        output_shape: With the batch.
        kernel_shape: As the framework has it.
        reads_network_input: True if it reads an input of the model.
        input_shape: With the batch; transposed convolutions need it.
    """
    if attributes.get("data_format") == "channels_first":
        output_shape, input_shape = _channels_last(output_shape), _channels_last(input_shape)
    positions = output_shape[1:-1]
    if None in positions or (kind == "conv2d_transpose" and None in input_shape[1:-1]):
        return None
    depthwise = kind.startswith("depthwise")
    if depthwise:
        kernel, in_channels = kernel_shape[:-2], kernel_shape[-2]
        groups = in_channels
    elif kind == "conv2d_transpose":
        kernel, in_channels, groups = kernel_shape[:-2], kernel_shape[-1], 1
    else:
        kernel, groups = kernel_shape[:-2], attributes.get("groups", 1)
        in_channels = kernel_shape[-2] * groups
    if kind == "dense":
        kernel, strides, positions = (1, 1), (1, 1), (1, math.prod(positions))
    elif kind in _PLANAR:
        kernel, strides, positions = (1, *kernel), (1, *_pair(attributes["strides"], 1)), (1, *positions)
    else:
        strides = _pair(attributes["strides"], 2)
    return LayerShape(
        name,
        _PLANAR.get(kind, kind),
        kernel_size=kernel,
        strides=strides,
        in_channels=in_channels,
        out_channels=output_shape[-1],
        groups=groups,
        output_size=positions,
        reads_network_input=reads_network_input,
        input_size=input_shape[1:-1] if kind == "conv2d_transpose" else None,
    )


def _channels_last(shape):
    return None if shape is None else (shape[0], *shape[2:], shape[1])


def _pair(value, rank):
    return tuple(value) if isinstance(value, list | tuple) else (value,) * rank
