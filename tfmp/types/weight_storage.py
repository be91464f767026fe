"""How a TFLite file stores the weights of a layer."""

import dataclasses
import math

from tfmp.types.file_parts import buffer_bytes, operator_bytes, tensor_bytes, vector_bytes
from tfmp.types.layer_shape import LayerShape

MODES = ("fast", "small")
PACKED_BITS = (4, 2)
# The runtime adds 16 times each product of a packed code in 32 bits: the half for the bias, the half for products.
LARGEST_PACKED_BIAS = LARGEST_PACKED_SUM = 2**26
_LARGEST_INPUT = 255
LARGEST_CONCATENATION = 5  # of more tensors XNNPACK makes none
# The runtime multiplies by packed codes in one operator alone, that of dense layers.
_PACKABLE = ("conv2d", "conv1d", "dense")


@dataclasses.dataclass(frozen=True)
class WeightStorage:
    """The container of one kernel and what it costs.

    A packed kernel (4 or 2 bits a code) is a matrix. A convolution whose window or stride is larger than 1 then gets
    helper operators that gather every window into the channels of one position.

    Args:
        container_bits: 8, 4 or 2: what the file takes for a code.
        kernel_bytes: Of all codes, those included that fill the rows of the matrix.
        helper_bytes: Largest size of the operators around the kernel's own, with their tensors and constants.
    """

    container_bits: int
    kernel_bytes: int
    helper_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        """Kernel and helpers."""
        return self.kernel_bytes + self.helper_bytes


def weight_storage(shape: LayerShape, low: int, high: int, *, mode: str = "fast") -> WeightStorage:
    """Decides how a file stores a kernel.

    Args:
        shape: The layer.
        low: Smallest code of its kernel.
        high: Largest code.
        mode: `"fast"`: always 8 bits. `"small"`: the container that makes the file smallest, helpers included, among
            those that hold every code and that the runtime computes exactly.

    Raises:
        ValueError: If the mode is unknown.
    """
    check_mode(mode)
    found = [WeightStorage(8, shape.num_weights)]
    if mode == "small" and shape.kind in _PACKABLE and shape.groups == 1:
        found += [_packed(shape, bits) for bits in PACKED_BITS if _fits(shape, low, high, bits)]
    return min(found, key=lambda storage: storage.size_bytes)


def check_mode(mode: str):
    """Raises `ValueError` unless `mode` is one of `MODES`."""
    if mode not in MODES:
        raise ValueError(f"`mode` must be one of {', '.join(MODES)}. Received: {mode!r}")


def filled_channels(channels: int, taps: int, container_bits: int) -> int:
    """Returns the smallest number of channels from `channels` on with which `taps` positions fill whole bytes."""
    codes_per_byte = 8 // container_bits
    step = codes_per_byte // math.gcd(taps, codes_per_byte)
    return -(-channels // step) * step


def concatenations(parts: int) -> int:
    """Returns how many operators join that many tensors, each of them few enough for XNNPACK."""
    return -(-(parts - 1) // (LARGEST_CONCATENATION - 1))


def _fits(shape, low, high, bits):
    largest = 2 ** (bits - 1)
    num_inputs = math.prod(shape.kernel_size) * shape.in_channels
    return -largest <= low and high < largest and num_inputs * largest * _LARGEST_INPUT <= LARGEST_PACKED_SUM


def _packed(shape, bits):
    taps = math.prod(shape.kernel_size)
    channels = filled_channels(shape.in_channels, taps, bits)
    num_bytes = channels * taps * shape.out_channels * bits // 8
    return WeightStorage(bits, num_bytes, _helper_bytes(shape, channels > shape.in_channels))


def _helper_bytes(shape, fills):
    """Of padding, slices and concatenations, with every constant and vector that no other layer may have."""
    helper = tensor_bytes() + vector_bytes(16)
    constant = tensor_bytes() + vector_bytes(8) + buffer_bytes(16)
    total = 0
    if fills or max(shape.kernel_size) > 1 or max(shape.strides) > 1:
        total += operator_bytes(2) + helper + constant + 16
    height, width = zip(shape.kernel_size, shape.strides, strict=True)
    for (size, stride), slices in ((height, height[0]), (width, -(-width[0] // width[1]))):
        if size == stride == 1:
            continue
        if stride > 1:
            total += operator_bytes(2) + helper + constant
        total += slices * (operator_bytes(3) + helper + 2 * constant)
        if slices > 1:
            total += concatenations(slices) * (operator_bytes(0) + helper) + 4 * (slices + concatenations(slices) - 1)
    return total
