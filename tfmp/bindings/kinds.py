"""What a layer of either Keras computes, in words that no framework owns."""

import math

from tfmp.types import LayerShape

MULTIPLYING = {
    "Conv2D": "conv2d",
    "DepthwiseConv2D": "depthwise_conv2d",
    "Conv1D": "conv1d",
    "Dense": "dense",
}
_MIXED_PREFIX = "MixedPrecision"
_KINDS = {
    "InputLayer": "input",
    "BatchNormalization": "batch_normalization",
    "Add": "add",
    "Concatenate": "concatenate",
    "Flatten": "reshape",
    "Reshape": "reshape",
    "MaxPooling2D": "max_pool",
    "AveragePooling2D": "average_pool",
    "GlobalAveragePooling2D": "mean",
    "GlobalMaxPooling2D": "global_max_pool",
    "ZeroPadding2D": "pad",
    "Dropout": "identity",
    "SpatialDropout1D": "identity",
    "SpatialDropout2D": "identity",
    "GaussianDropout": "identity",
    "GaussianNoise": "identity",
    "ActivityRegularization": "identity",
    "Identity": "identity",
    "ReLU": "relu",
    "Relu": "relu",
    "Relu6": "relu",
    "Softmax": "softmax",
    "Quantize": "quantize",
}
_ACTIVATION_KINDS = {"linear": "identity", "relu": "relu", "relu6": "relu", "softmax": "softmax"}
_COPIED = ("strides", "padding", "pool_size", "dilation_rate", "groups", "axis", "epsilon", "data_format", "use_bias")


def activation_name(config):
    """Name of the activation in a layer's configuration; `"custom"` if Keras itself does not provide it."""
    activation = config.get("activation")
    if activation is None:
        return "linear"
    if isinstance(activation, dict):
        if activation.get("registered_name", "function") not in (None, "function"):
            return "custom"
        activation = activation.get("config")
    return activation if isinstance(activation, str) else "custom"


def kind_and_attributes(class_name, config):
    """Returns a layer's kind and its attributes in neutral terms.

    Args:
        class_name: Name of its class, or of the operation for operations used without a layer.
        config: Its configuration.

    Returns:
        `(kind, attributes)`; kind `"other"` for what the library has no word for.
    """
    attributes = {name: config[name] for name in _COPIED if name in config}
    if "activation" in config:
        attributes["activation"] = activation_name(config)
    plain_name = class_name.removeprefix(_MIXED_PREFIX)
    if plain_name in MULTIPLYING:
        return MULTIPLYING[plain_name], attributes
    if class_name == "Activation":
        name = attributes["activation"]
        return _ACTIVATION_KINDS.get(name, "other"), {"max_value": 6.0 if name == "relu6" else None}
    kind = _KINDS.get(class_name, "other")
    if class_name == "ReLU":
        if config.get("negative_slope") or config.get("threshold"):
            return "other", attributes
        attributes["max_value"] = config.get("max_value")
    elif class_name in ("Relu", "Relu6"):
        attributes["max_value"] = 6.0 if class_name == "Relu6" else None
    elif class_name == "ZeroPadding2D":
        attributes["paddings"] = tuple(tuple(side) for side in config["padding"])
    elif class_name == "GlobalAveragePooling2D":
        attributes["keepdims"] = config.get("keepdims", False)
    elif class_name == "Softmax" and config.get("axis", -1) != -1:
        return "other", attributes
    if attributes.get("data_format") == "channels_first" and kind not in ("input", "identity"):
        return "other", attributes
    return kind, attributes


def layer_shape(name, kind, attributes, output_shape, kernel_shape, *, reads_network_input):
    """Returns the `LayerShape` of a multiplying layer, or None if its output size is not known."""
    if kind == "depthwise_conv2d":
        kernel, in_channels = kernel_shape[:2], kernel_shape[2]
        groups = in_channels
    else:
        kernel = kernel_shape[:-2]
        groups = attributes.get("groups", 1)
        in_channels = kernel_shape[-2] * groups
    if attributes.get("data_format") == "channels_first":
        output_shape = (output_shape[0], *output_shape[2:], output_shape[1])
    positions = output_shape[1:-1]
    if None in positions:
        return None
    if kind == "conv1d":
        kernel, strides, size = (1, *kernel), (1, *_pair(attributes["strides"], 1)), (1, positions[0])
    elif kind == "dense":
        kernel, strides, size = (1, 1), (1, 1), (1, math.prod(positions))
    else:
        strides, size = _pair(attributes["strides"], 2), positions
    return LayerShape(
        name,
        kind,
        kernel_size=kernel,
        strides=strides,
        in_channels=in_channels,
        out_channels=output_shape[-1],
        groups=groups,
        output_size=size,
        reads_network_input=reads_network_input,
    )


def _pair(value, rank):
    return tuple(value) if isinstance(value, list | tuple) else (value,) * rank
