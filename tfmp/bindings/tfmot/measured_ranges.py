"""Reads the ranges of TFMOT's own quantizers as candidates."""

import numpy as np
from tensorflow_model_optimization.quantization.keras import quantizers

from tfmp.graph import UNQUANTIZED, Candidates, CodeFormat
from tfmp.quantizers import Linear, MovingRange

# Quantizers that measure a smallest and a largest value.
_MEASURING = (quantizers.LastValueQuantizer, quantizers.MovingAverageQuantizer, quantizers.AllValuesQuantizer)
_FIXED_BITS = 8  # `FixedQuantizer` uses this for all `num_bits`


def activation_range(quantizer, arrays, name):
    """Returns the `Candidates` of a tensor between two layers, with the measured range.

    Args:
        quantizer: The quantizer of TFMOT.
        arrays: The arrays of the layer that owns it, by name.
        name: Prefix of the names of its arrays, `"post_activation"` for example.
    """
    ends = None
    if isinstance(quantizer, quantizers.FixedQuantizer):
        bits, ends = _FIXED_BITS, (quantizer.init_min, quantizer.init_max)
    elif isinstance(quantizer, _MEASURING) and not quantizer.per_axis:
        bits, ends = quantizer.num_bits, tuple(arrays[f"{name}_{end}"] for end in ("min", "max"))
    if ends is None or quantizer.narrow_range:
        return _foreign(quantizer)
    return range_between(*ends, bits=bits)


def range_between(minimum, maximum, *, bits=8):
    """Returns the `Candidates` of a tensor with a range between two values."""
    minimum, maximum = np.float32((minimum, maximum))
    state = {"minimum": minimum, "maximum": maximum, "seen": np.float32(maximum > minimum)}
    formats = (CodeFormat(bits, 0, 2**bits - 1),)
    return Candidates(formats, quantizer=MovingRange.name, range_of_tensor=True, states=(state,))


def kernel_range(quantizer, arrays, name, kernel_shape):
    """Returns the `Candidates` of a kernel, with the measured range.

    Args:
        quantizer: The quantizer of TFMOT, or None.
        arrays: The arrays of the layer's wrapper, by name.
        name: Name of the kernel in TFMOT's variables.
        kernel_shape: Its shape.
    """
    if quantizer is None:
        return UNQUANTIZED
    if not (isinstance(quantizer, _MEASURING) and quantizer.symmetric and quantizer.narrow_range):
        return _foreign(quantizer)
    high = 2 ** (quantizer.num_bits - 1) - 1
    largest = arrays[f"{name}_max"]
    if largest.ndim:  # along the last axis, which for a depthwise kernel is not the output channel
        largest = np.broadcast_to(largest, (*(1,) * (len(kernel_shape) - 2), *kernel_shape[-2:])).copy()
        largest = largest if name == "depthwise_kernel" else largest[..., :1, :]
    formats = (CodeFormat(quantizer.num_bits, -high, high),)
    return Candidates(formats, quantizer=Linear.name, states=({"largest": largest},))


def _foreign(quantizer):
    """Returns the `Candidates` of a quantizer whose levels a file cannot represent; `fold` reports its name."""
    bits = min(8, int(getattr(quantizer, "num_bits", 8)))
    return Candidates((CodeFormat(bits, 0, 2**bits - 1),), quantizer=type(quantizer).__name__)
