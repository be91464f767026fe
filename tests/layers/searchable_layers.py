"""Cases of all searchable layers of Keras 3."""

import keras
import numpy as np

from tfmp import layers

# (class, arguments, input shape)
CASES = {
    "conv2d": ("Conv2D", {"filters": 4, "kernel_size": 3}, (6, 7, 3)),
    "conv2d_strided_same": (
        "Conv2D",
        {"filters": 4, "kernel_size": (3, 2), "strides": 2, "padding": "same", "activation": "relu"},
        (7, 6, 3),
    ),
    "conv2d_dilated": ("Conv2D", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "use_bias": False}, (8, 8, 3)),
    "conv2d_groups": ("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 2, "padding": "same"}, (5, 5, 4)),
    "conv2d_regularized": (
        "Conv2D",
        {"filters": 3, "kernel_size": 1, "kernel_regularizer": "l2", "bias_regularizer": "l1", "activation": "tanh"},
        (4, 4, 3),
    ),
    "conv2d_constrained": ("Conv2D", {"filters": 3, "kernel_size": 2, "kernel_constraint": "non_neg"}, (4, 4, 2)),
    "depthwise": ("DepthwiseConv2D", {"kernel_size": 3}, (6, 6, 3)),
    "depthwise_multiplied": (
        "DepthwiseConv2D",
        {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same", "activation": "relu"},
        (7, 7, 3),
    ),
    "depthwise_regularized": ("DepthwiseConv2D", {"kernel_size": 2, "depthwise_regularizer": "l2"}, (4, 4, 2)),
    "depthwise_dilated": ("DepthwiseConv2D", {"kernel_size": 2, "dilation_rate": 2, "use_bias": False}, (6, 6, 2)),
    "transposed": (
        "Conv2DTranspose",
        {"filters": 5, "kernel_size": (3, 2), "strides": 2, "padding": "same"},
        (4, 4, 3),
    ),
    "transposed_padded": (
        "Conv2DTranspose",
        {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1, "use_bias": False, "activation": "relu"},
        (3, 3, 2),
    ),
    "transposed1d": ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (5, 3)),
    "depthwise1d": (
        "DepthwiseConv1D",
        {"kernel_size": 3, "depth_multiplier": 2, "strides": 2, "padding": "same", "activation": "relu"},
        (7, 3),
    ),
    "conv1d": ("Conv1D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, (9, 3)),
    "conv1d_causal": ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, (8, 3)),
    "conv1d_causal_dilated": (
        "Conv1D",
        {"filters": 2, "kernel_size": 3, "padding": "causal", "dilation_rate": 2, "use_bias": False},
        (9, 3),
    ),
    "conv1d_groups": ("Conv1D", {"filters": 4, "kernel_size": 2, "groups": 2, "activation": "relu"}, (6, 4)),
    "dense": ("Dense", {"units": 5}, (7,)),
    "dense_sequence": ("Dense", {"units": 5, "activation": "relu", "kernel_regularizer": "l2"}, (4, 3)),
    "dense_constrained": ("Dense", {"units": 3, "use_bias": False, "kernel_constraint": "unit_norm"}, (6,)),
}
SEED = 0
EACH_CLASS = ("conv2d_strided_same", "depthwise_multiplied", "transposed", "conv1d_causal", "depthwise1d", "dense")


def plain(case, **more):
    class_name, arguments, _ = CASES[case]
    return getattr(keras.layers, class_name)(**arguments, **more)


def searchable(case, **more):
    class_name, arguments, input_shape = CASES[case]
    keras.utils.set_random_seed(SEED)
    layer = getattr(layers, f"MixedPrecision{class_name}")(**arguments, **more)
    layer.build((None, *input_shape))
    return layer


def randomize(layer, seed=0):
    """Random biases, logits and ranges: their starting values hide mistakes."""
    rng = np.random.default_rng(seed)
    if getattr(layer, "use_bias", False):
        layer.bias.assign(rng.normal(size=layer.bias.shape))
    for selector in (layer.weight_selector, layer.activation_selector):
        if selector is None:
            continue
        for variable in selector.variables:
            if variable.name == "logits":
                variable.assign(rng.normal(size=variable.shape))
            elif variable.name.startswith("step"):
                variable.assign(np.asarray(variable) * rng.uniform(0.7, 1.2, variable.shape))
            elif variable.name.startswith("seen"):
                variable.assign(1.0)
    for kernel in layer.candidate_kernels.kernels if layer.candidate_kernels else ():
        kernel.assign(kernel + rng.normal(scale=0.1, size=kernel.shape))
    return layer


def inputs_of(case, *, signed=False, seed=1):
    x = np.random.default_rng(seed).normal(size=(3, *CASES[case][2])).astype(np.float32)
    return x if signed else np.abs(x)


def in_float64(case, kernel, bias):
    """The plain layer with the given arrays, computing in float64."""
    layer = plain(case, dtype="float64")
    layer.build((None, *CASES[case][2]))
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return layer


def biases(layer):
    return np.asarray(layer.bias, np.float64) if layer.use_bias else None


def relative(actual, expected):
    return np.abs(np.asarray(actual) - np.asarray(expected)).max() / max(np.abs(np.asarray(expected)).max(), 1e-12)
