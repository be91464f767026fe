"""Grids, kernels and biases of a fixed network as a file stores them."""

from collections.abc import Hashable, Mapping

import numpy as np
import tensorflow as tf

from tfmp import quantizers
from tfmp.graph import Call, Graph, Grid, Layer
from tfmp.graph.float_network import FloatNetwork
from tfmp.graph.targets import LITERT, Target
from tfmp.lowering.weight_packing import weight_storage
from tfmp.operators import kernel_of
from tfmp.operators.affine_map import AffineMap, in_container
from tfmp.transform.candidate_checks import check_kernel, check_range, check_zero


class StoredValues:
    """Provides the grids and constants of a fixed network to lowering.

    Args:
        mode: How the file stores weights, `tfmp.lowering.weight_packing.MODES`.
        target: The runtime of the file.
    """

    def __init__(self, mode: str, target: Target = LITERT):
        self._mode, self._target = mode, target
        self._networks: dict[Hashable, FloatNetwork] = {}

    def grid(self, layer: Layer) -> Grid:
        """Returns the codes of the input of a quantized layer, see `activation_grid`."""
        return activation_grid(layer)

    def kernel(
        self, layer: Layer, after: AffineMap | None, input_scale: float
    ) -> tuple[dict[str, np.ndarray], dict[str, int]]:
        """Returns the constants of a layer with a kernel and how the file stores it, see `stored_kernel`."""
        return stored_kernel(layer, after, input_scale, mode=self._mode, target=self._target)

    def float_network(self, graph: Graph, call: Call, batch_size: int) -> FloatNetwork:
        """Returns the operators of a call of a layer in floating point, with the values of its weights."""
        key = (call.outputs, batch_size)
        if key not in self._networks:
            self._networks[key] = graph.convert(call, batch_size)
        return self._networks[key]


def activation_grid(layer: Layer) -> Grid:
    """Returns the integer grid of the input of a quantized layer.

    Raises:
        ValueError: If its range was never calibrated, or has no grid with a zero.
    """
    quantizer, state = calibrated_quantizer(layer)
    check_zero(layer)
    levels = quantizer.grid(tf.zeros((1,)), state)
    return Grid(float(levels.step), int(levels.low), int(levels.high))


def calibrated_quantizer(layer: Layer) -> tuple[quantizers.Quantizer, Mapping[str, np.ndarray]]:
    """Returns the quantizer of a layer's input and its state.

    Raises:
        ValueError: If its range was never calibrated, or changes with every batch.
    """
    candidates = layer.activation
    quantizer = quantizers.get(candidates.quantizer, bits=candidates.bits[0], signed=candidates.signed)
    state = candidates.state
    check_range(layer)
    if "seen" in state and not state["seen"] > 0:
        raise ValueError(
            f"Layer `{layer.name}` was never calibrated: the range of its input is unknown. Give `tfmp.relax` "
            "calibration data, or train the model."
        )
    return quantizer, state


def stored_kernel(
    layer: Layer, after: AffineMap | None, input_scale: float, *, mode: str = "fast", target: Target = LITERT
) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Returns the constants of a layer with a kernel, with the affine map after it (a normalization) folded in.

    The codes are those of training. The map multiplies their scales, channel by channel; a negative factor negates the
    codes of the channel. Codes that leave room in their container are shifted up, with their scale divided accordingly,
    which refines the grid of the bias without changing a product; those that tables hold are not, so that all kernels
    of as many bits share a table.

    Args:
        layer: A fixed layer, its weights read.
        after: The affine map of the only reader of its output, or None.
        input_scale: Scale of its input's codes.
        mode: How the file stores weights, `tfmp.lowering.weight_packing.MODES`.
        target: The runtime of the file.

    Returns:
        `kernel` int8, `kernel_scale` float32 and `bias` int32 per output channel, by name; and attributes of the
        operation that say how the file stores the kernel.
    """
    codes, scale = kernel_codes(layer)
    shape, code_format = layer.require_shape(), layer.weight.formats[0]
    channels, layout = shape.out_channels, kernel_of(layer)
    by_channel = layout.by_channel(codes)
    scale = np.broadcast_to(np.asarray(scale, np.float64).reshape(-1), (channels,))
    bias = np.asarray(layer.weights.get("bias", np.zeros(channels)), np.float64)
    if after is not None:
        bias = after(bias)
        by_channel = np.where(after.factor < 0, -by_channel, by_channel)
        scale = scale * np.abs(after.factor)
    # By the format, not by the codes that occur, as the cost predicts it.
    code_range = code_format.code_range
    low, high = min(code_range[0], int(by_channel.min())), max(code_range[1], int(by_channel.max()))
    bits = code_format.bits if (low, high) == code_range else code_format.bits + 1
    storage = weight_storage(shape, low, high, bits=bits, mode=mode, target=target)
    constants = in_container(
        by_channel,
        scale,
        bias,
        input_scale,
        container_bits=storage.container_bits,
        is_indexed=storage.index_bits is not None,
    )
    kernel = layout.for_operation(constants["kernel"], codes.shape)
    return {**constants, "kernel": kernel}, storage.attributes


def kernel_codes(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Returns `(integers, scale)` of a fixed layer's kernel, those of training."""
    check_kernel(layer)
    quantizer = quantizers.get(layer.weight.quantizer, bits=layer.weight.bits[0])
    axes = kernel_of(layer).channel_axes
    integers, scale = quantizer.codes(tf.constant(layer.weights["kernel"]), layer.weight.state, channel_axes=axes)
    return np.asarray(integers), np.asarray(scale)
