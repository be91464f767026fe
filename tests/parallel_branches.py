"""Mixed-precision layers in the direct way: every candidate separately, in float64, by automatic differentiation.

Rounding passes gradients straight through; steps get their gradients from the chain rule, not from a formula.
"""

import math

import numpy as np
import tensorflow as tf


def weight_branches(layer, variables=None):
    """Returns `[(probability, quantized kernel)]` for every candidate of a layer's kernel.

    Args:
        layer: A built mixed-precision layer.
        variables: Path relative to the layer to float64 tensor, in place of the layer's own.
    """
    variables = _variables(layer) | (variables or {})
    names = [f"candidate_kernels/kernel_{bits}_bits" for bits in layer.weight_selector.bits]
    kernels = [variables.get(name, variables["kernel"]) for name in names]
    return _branches(layer.weight_selector, kernels, variables, "weight_selector/", layer.channel_axes)


def activation_branches(layer, x, variables=None):
    """The same for its input."""
    variables = _variables(layer) | (variables or {})
    if layer.coupled:
        variables["activation_selector/logits"] = variables["weight_selector/logits"]
    inputs = [tf.cast(x, tf.float64)] * len(layer.activation_selector.bits)
    return _branches(layer.activation_selector, inputs, variables, "activation_selector/", None)


def channel_fold(layer, x, kernel):
    """The product of a plain layer as a differentiable function of input and kernel, without bias and activation."""
    kind = type(layer).__name__
    if kind == "Dense":
        return tf.tensordot(x, kernel, 1)
    if kind == "Conv1D":
        if layer.padding == "causal":
            x = tf.pad(x, ((0, 0), (layer.dilation_rate[0] * (layer.kernel_size[0] - 1), 0), (0, 0)))
        padding = "VALID" if layer.padding == "causal" else layer.padding.upper()
        return tf.nn.conv1d(x, kernel, layer.strides[0], padding, dilations=layer.dilation_rate[0])
    if kind == "DepthwiseConv1D":
        strides = (1, *layer.strides * 2, 1)
        return tf.nn.depthwise_conv2d(x[:, None], kernel[None], strides, layer.padding.upper())[:, 0]
    strides = (1, *layer.strides, 1)
    if kind == "Conv2DTranspose":
        shape = layer.compute_output_shape(x.shape)
        return tf.nn.conv2d_transpose(x, kernel, shape, strides, layer.padding.upper())
    if kind == "DepthwiseConv2D":
        return tf.nn.depthwise_conv2d(x, kernel, strides, layer.padding.upper(), dilations=layer.dilation_rate)
    return tf.nn.conv2d(x, kernel, strides, layer.padding.upper(), dilations=layer.dilation_rate)


def _variables(layer):
    return {
        v.path.removeprefix(f"{layer.name}/"): tf.convert_to_tensor(np.asarray(v, np.float64)) for v in layer.variables
    }


def _branches(selector, tensors, variables, prefix, channel_axes):
    state = {path.removeprefix(prefix): value for path, value in variables.items() if path.startswith(prefix)}
    count = len(selector.bits)
    probabilities = tf.nn.softmax(state["logits"]) if count > 1 else tf.ones((1,), tf.float64)
    family = {"lsq": _lsq, "hwgq": _hwgq, "linear": _linear, "moving_range": _moving_range}[selector.quantizer]
    return [
        (probabilities[i], family(tensors[i], quantizer, state, selector, channel_axes))
        for i, quantizer in enumerate(selector.quantizers)
    ]


def _round(x):
    return x + tf.stop_gradient(tf.round(x) - x)


def _lsq(x, quantizer, state, selector, channel_axes):
    bits, high = quantizer.bits, 2 ** (quantizer.bits - 1) - 1 if quantizer.signed else 2**quantizer.bits - 1
    low = 0 if not quantizer.signed else -127 if bits == 8 else -(2 ** (bits - 1))
    if selector.shared_range or len(selector.bits) == 1:
        ratio = quantizer.unit_step / selector.quantizers[-1].unit_step
        step = state["step"] * ratio
    else:
        ratio, step = 1.0, state[f"step_{bits}_bits"]
    count = math.prod(x.shape if channel_axes is not None else x.shape[1:]) // math.prod(step.shape)
    # A range that is shared changes by the share by which each step would change itself.
    scale = 1 / math.sqrt(count * max(high, 1)) / ratio**2
    step = step * scale + tf.stop_gradient(step * (1 - scale))
    if quantizer.signed and bits == 1:  # the levels -step and +step
        return step * (2 * _round(tf.clip_by_value(x / (2 * step) - 0.5, -1, 0)) + 1)
    return step * _round(tf.clip_by_value(x / step, low, high))


def _hwgq(x, quantizer, state, selector, channel_axes):
    if quantizer.signed:
        step = tf.stop_gradient(quantizer.unit_step * tf.math.reduce_std(x))
        half = 2**quantizer.bits / 2
        quantized = (tf.clip_by_value(tf.round(x / step - 0.5), -half, half - 1) + 0.5) * step
        return x + tf.stop_gradient(quantized - x)
    step = quantizer.unit_step * state["deviation"]
    return step * _round(tf.clip_by_value(x / step, 0, 2**quantizer.bits - 1))


def _linear(x, quantizer, state, selector, channel_axes):
    axes = None
    if channel_axes is not None:
        axes = [axis for axis in range(x.shape.rank) if axis - x.shape.rank not in channel_axes]
    high = 2 ** (quantizer.bits - 1) - 1
    step = tf.stop_gradient(tf.reduce_max(tf.abs(x), axis=axes, keepdims=axes is not None) / high)
    return x + tf.stop_gradient(step * tf.round(x / step) - x)


def _moving_range(x, quantizer, state, selector, channel_axes):
    step = (state["maximum"] - state["minimum"]) / (2**quantizer.bits - 1)
    low = tf.round(state["minimum"] / step)
    return step * _round(tf.clip_by_value(x / step, low, low + 2**quantizer.bits - 1))
