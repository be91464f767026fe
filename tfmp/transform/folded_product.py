"""Kernels, biases and affine maps as the integers of a file."""

import numpy as np
import tensorflow as tf

from tfmp import quantizers
from tfmp.transform.affine_chain import AffineMap
from tfmp.transform.candidates import check_kernel
from tfmp.types import Layer
from tfmp.types.weight_storage import LARGEST_PACKED_BIAS, weight_storage

_CHANNEL_AXES = {"depthwise_conv2d": (-2, -1), "depthwise_conv1d": (-2, -1), "conv2d_transpose": (-2,)}
_LARGEST_BIAS = 2.0**30


def folded_product(layer: Layer, after: AffineMap | None, input_scale: float, *, mode: str = "fast"):
    """Returns the constants of a layer with a kernel, with the affine map behind it (a normalization) folded in.

    The codes are those of training. The map multiplies their scales, channel by channel; a negative factor negates the
    channel's codes. Codes that leave room in their container are shifted up with their scale shifted down,
    which refines the grid of the bias without changing a product.

    Args:
        layer: A fixed layer, its weights read.
        after: The map of what alone reads its output, or None.
        input_scale: Scale of its input's codes.
        mode: How the file stores weights, `tfmp.types.weight_storage.MODES`.

    Returns:
        `kernel` int8, `kernel_scale` float32 and `bias` int32 per output channel, by name; and the bits that the file
        takes for a code.
    """
    codes, scale = kernel_codes(layer)
    channels = layer.shape.out_channels
    transposed = layer.kind == "conv2d_transpose"  # its filters are [height, width, out, in]
    codes = np.swapaxes(codes, -1, -2) if transposed else codes
    by_channel = codes.reshape(-1, channels)
    scale = np.broadcast_to(np.asarray(scale, np.float64).reshape(-1), (channels,))
    bias = np.asarray(layer.weights.get("bias", np.zeros(channels)), np.float64)
    if after is not None:
        bias = after(bias)
        by_channel = np.where(after.factor < 0, -by_channel, by_channel)
        scale = scale * np.abs(after.factor)
    # By the format rather than the codes that happen to occur: what a cost foresees.
    low = min(layer.weight.formats[0].low, int(by_channel.min()))
    high = max(layer.weight.formats[0].high, int(by_channel.max()))
    container_bits = weight_storage(layer.shape, low, high, mode=mode).container_bits
    constants = _in_container(by_channel, scale, bias, input_scale, container_bits=container_bits)
    kernel = constants["kernel"].reshape(codes.shape)
    kernel = np.swapaxes(kernel, -1, -2) if transposed else kernel
    return {**constants, "kernel": kernel[None] if layer.kind.endswith("conv1d") else kernel}, container_bits


def folded_map(found: AffineMap, channels: int, input_scale: float) -> dict[str, np.ndarray]:
    """Returns the constants of an affine map that stands alone, `[channels]` each: a product per channel."""
    factor, shift = (np.broadcast_to(values, (channels,)) for values in (found.factor, found.shift))
    constants = _in_container(np.where(factor < 0, -1, 1)[None], np.abs(factor), shift, input_scale)
    return {**constants, "kernel": constants["kernel"][0]}


def _in_container(codes, scale, bias, input_scale, *, container_bits=8):
    """Constants from `[taps, channels]` codes, their scales, and biases as real numbers."""
    input_scale = np.float64(np.float32(input_scale))
    # Half of what the runtime takes, since the scale is rounded.
    largest_bias = _LARGEST_BIAS if container_bits == 8 else LARGEST_PACKED_BIAS / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        room = largest_bias / (np.abs(bias) / (input_scale * scale))
    # A channel whose factor is (all but) zero holds its bias alone.
    vanishing = ~(room > 1)
    codes = np.where(vanishing, 0, codes)
    scale = np.where(vanishing, np.maximum(np.abs(bias) / (input_scale * largest_bias), 1e-12), scale)
    # The kernels of INT8 take no -128, those of packed codes take all.
    largest = 2 ** (container_bits - 1) - 1
    smallest = -largest if container_bits == 8 else -largest - 1
    most = min(largest / max(1, codes.max()), smallest / min(-1, codes.min()))
    shift = np.floor(np.log2(np.minimum(most, np.where(vanishing, 1, room))))
    scale = (scale / 2**shift).astype(np.float32)
    return {
        "kernel": (codes * 2**shift).astype(np.int8),
        "kernel_scale": scale,
        "bias": np.rint(bias / (input_scale * scale)).astype(np.int32),
    }


def kernel_codes(layer: Layer):
    """Returns `(integers, scale)` of a fixed layer's kernel, those of training."""
    check_kernel(layer)
    prefix = "weight_selector/"
    state = {path.removeprefix(prefix): w for path, w in layer.weights.items() if path.startswith(prefix)}
    quantizer = quantizers.get(layer.weight.quantizer, bits=layer.weight.bits[0])
    axes = _CHANNEL_AXES.get(layer.kind, (-1,))
    integers, scale = quantizer.codes(tf.constant(layer.weights["kernel"]), state, channel_axes=axes)
    return np.asarray(integers), np.asarray(scale)
