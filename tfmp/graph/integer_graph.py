"""A network of integer operations, as the file stores it and the runtime computes it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph.runtime_limits import BOUNDED_OUTPUTS, CODE_SPAN, INT8_HIGH, LARGEST_INPUT, SMALLEST_SCALE
from tfmp.graph.targets import FLOATING_POINT

COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")


def compared_type(dtypes: Sequence[str], operand: Any = 0) -> str:
    """Returns the type in which numbers are compared with each other or with a constant; wide integers keep theirs."""
    is_whole = np.asarray(operand).dtype.kind in "iu"
    return dtypes[0] if is_whole and set(dtypes) in ({"int32"}, {"int64"}) else "float32"


@dataclasses.dataclass(frozen=True)
class Grid:
    """The values of a quantized activation: `value = code * scale`, `low <= code <= high`; zero is code 0.

    Args:
        scale: Distance of neighbouring values, a float32 number of at least `SMALLEST_SCALE`.
        low: Smallest code.
        high: Largest code; `high - low` is at most 255.
    """

    scale: float
    low: int
    high: int

    def __post_init__(self) -> None:
        scale = float(np.float32(self.scale))
        if not SMALLEST_SCALE <= scale < np.inf:
            raise ValueError(
                f"`scale` must be positive, from {SMALLEST_SCALE:.3g}, and finite. Received: {self.scale!r}. Give a "
                "tensor that is all zero any other scale."
            )
        if not self.low < self.high <= self.low + CODE_SPAN:
            raise ValueError(f"Codes must span 1 to {CODE_SPAN}. Received: low={self.low}, high={self.high}")
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "low", int(self.low))
        object.__setattr__(self, "high", int(self.high))

    @property
    def zero_point(self) -> int:
        """The offset that INT8 storage adds to a code, so that the largest code is stored as 127."""
        return INT8_HIGH - self.high


FIXED_GRIDS = {function: Grid(*codes) for function, codes in BOUNDED_OUTPUTS.items()}


@dataclasses.dataclass(frozen=True)
class IntegerTensor:
    """A tensor between two operations.

    Args:
        name: Unique in the graph.
        shape: Sizes, the batch first; None where the size is free.
        grid: The grid of its codes; None for a tensor of numbers.
        dtype: NumPy name of the type of its numbers if it has no grid.
        source: Name of the tensor of the user's model that it stores, `""` if there is none.
    """

    name: str
    shape: tuple[int | None, ...]
    grid: Grid | None
    dtype: str = "float32"
    source: str = ""

    def require_grid(self) -> Grid:
        """Returns the grid of a tensor of codes.

        Raises:
            ValueError: If the tensor contains numbers instead of codes.
        """
        if self.grid is None:
            raise ValueError(f"Tensor `{self.name}` must hold codes. Received: a tensor of {self.dtype} numbers")
        return self.grid


@dataclasses.dataclass(frozen=True)
class IntegerOperation:
    """One operation on codes. `q(y)` below is `rint(y)` (half to even), then clipped to the output's `[low, high]`.

    | kind | output codes | attributes | constants |
    |---|---|---|---|
    | quantize | q(x * float32(1 / scale)) | | |
    | dequantize | x * scale, float | | |
    | conv2d | q(float32(conv(x, kernel) + bias) * multiplier) | strides, padding, dilation, groups | see `constants` |
    | depthwise_conv2d | the same, `[h, w, channels, depth_multiplier]` kernel | strides, padding, dilation | the same |
    | dense | the same, over the last axis, `[in, out]` kernel | | the same |
    | conv2d_transpose | the same, `[h, w, out, in]` kernel | strides, padding | the same |
    | add | `(x1 * m1 + x2 * m2 + 2**(shift - 1)) >> shift` | | |
    | subtract | `(x1 * m1 - x2 * m2 + 2**(shift - 1)) >> shift` | | |
    | multiply | q(float32(x1 * x2) * (scale1 * scale2 / scale)) | | |
    | activation | q(function(x * input scale) / scale), see below | function, negative_slope, approximate | |
    | mean | rint(float32(sum(x + input zero_point)) * m + b) - zero_point, over height and width | keepdims | |
    | average_pool | mean over the window, padding not counted, on the input's grid | pool_size, strides, padding | |
    | max_pool | maximum over the window | pool_size, strides, padding | |
    | resize | bilinear, to the output's height and width | | |
    | pad | code 0 around | paddings: (before, after) per axis between batch and channels | |
    | slice | x[:, begin:begin + size] | begin, size: per axis but the batch | |
    | transpose | x.transpose(permutation) | permutation: of all axes, 0 first | |
    | reshape | | | |
    | concatenate | | axis | |
    | softmax | q(softmax(x * input scale) / scale), over the last axis | | |

    Of tensors without a grid, with the output's dtype:

    | kind | output numbers | attributes |
    |---|---|---|
    | cast | x, towards zero from float to integer | |
    | arg_max, arg_min | index of the first largest or smallest number | axis, keepdims |
    | greater, greater_equal, less, less_equal, equal, not_equal | x1 compared with x2 or `operand` | operand(_first) |
    | logical_and, logical_or, logical_not | | |

    `quantize` also reads the numbers of a uint8 or int8 tensor, on the grid that holds them all with scale 1.

    `conv2d` and `dense` have an attribute `container_bits`, 4 or 2 where the file is to pack their codes so; it changes
    no result. `multiplier[c] = float32(input_scale * kernel_scale[c] / output_scale)`; accumulators are exact integers.
    Every operation on float32 numbers rounds to float32. Some kinds round in their own way, found by running the
    runtime:

    - add and subtract, half up: `ratio_i = scale_i / scale`, `shift = 20 - floor(log2(max(ratio_1, ratio_2)))`,
      `m_i = rint(ratio_i * 2**shift)`. Close to q((x1 * scale1 +- x2 * scale2) / scale), ties apart.
    - mean of n values, half to even with the zero point on: `m = (input_scale / scale) * (1 / n)`,
      `b = zero_point - float32(n * input_zero_point) * m`. Close to q(mean * input_scale / scale).
    - average_pool of n values: q(float32(sum) * (scale * float32(1 / n) / scale)) where no window reaches beyond the
      edge; else mean + zero_point, rounded half away from zero, minus zero_point.
    - activation, `y = float32(function(x * input_scale)) * (1 / scale)`: rint(y + zero_point) - zero_point for sigmoid,
      tanh and elu; y rounded half away from zero for gelu, by the error function or, if `approximate`, by tanh. For
      leaky_relu `(x * m + 128) >> 8` with `m = rint(256 * ratio)`, ratio being `input_scale / scale`, times
      `negative_slope` where x is negative.
    - resize, half up: weights of neighbours are multiples of 2**-11, the centre of output pixel i at input pixel
      `i * ratio + (0.5 * ratio - 0.5)` with `ratio = input size / output size`, within the image.

    Kinds without a formula for the scale, and max_pool, average_pool and resize, need all their tensors on one scale
    with one `high`. Add, subtract and multiply take two tensors of one rank whose sizes are equal or 1. Limits of
    a file (the writer refuses the rest and says what to do):

    - code 0 lies within the bounds of every tensor; kernel codes are -127 to 127; `multiplier` is below 256, and
      `multiplier * reach` below `LARGEST_PRODUCT`, beyond which the runtime overflows; `kernel_scale` and
      `input_scale * kernel_scale` are at least `SMALLEST_SCALE`;
    - add and subtract: both `ratio_i` are from 2**-10 to below 256; multiply: `scale1 * scale2 / scale` is from 2**-16
      to below 256; leaky_relu: both ratios are from 2**-8 to 2**7 - 2**-8, whatever the sign of the slope;
    - sigmoid writes Grid(1 / 256, 0, 255), tanh Grid(1 / 128, -128, 127), softmax Grid(1 / 256, 0, 255).

    The runtime's own kernels, not XNNPACK, compute softmax, gelu, padded average_pool, max_pool with strides beyond the
    window, and concatenate of more than five tensors: equally exact, but slower.

    With an attribute `arithmetic="fixed_point"`, operations round as TensorFlow Lite for Microcontrollers does:
    `tfmp.ops.integer.fixed_point`. `average_pool` then always rounds like one with padding.

    Every operation may clip further: attributes `low` and `high`, where present, bound the output codes more tightly
    than the output's grid (a fused ReLU has `low = 0`).

    Args:
        name: Unique in the graph.
        kind: One of the table.
        inputs: Names of the input tensors.
        output: Name of the output tensor.
        attributes: As in the table. `function` is `"sigmoid"`, `"tanh"`, `"elu"`, `"leaky_relu"` or `"gelu"`; pairs are
            (height, width); `padding` is `"same"` or `"valid"`.
        constants: As in the table. `kernel` int8 codes (`conv2d`: `[h, w, in / groups, out]`), `bias` int32 per output
            channel in units of `input_scale * kernel_scale`, `kernel_scale` float32 per output channel.
        layer: Name of the layer of the user's model that it computes, `""` if there is none.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    layer: str = ""

    @property
    def reach(self) -> np.ndarray:
        """Returns the largest possible magnitude of an accumulator, float64 per output channel."""
        kernel, bias = (np.abs(np.asarray(self.constants[name], np.float64)) for name in ("kernel", "bias"))
        if self.kind == "conv2d_transpose":
            kernel = np.moveaxis(kernel, -2, -1)
        return LARGEST_INPUT * kernel.reshape(-1, len(bias)).sum(0) + bias


@dataclasses.dataclass(frozen=True)
class IntegerGraph:
    """An inference network of integer operations; its inputs and outputs are numbers.

    Args:
        name: Name of the network.
        operations: In an order in which they can run.
        tensors: By name.
        inputs: Names of the input tensors, which have no grid.
        outputs: Names of the output tensors, which have no grid, in the order of `output_names`.
        output_names: Names of the outputs in the user's model.
    """

    name: str
    operations: tuple[IntegerOperation, ...]
    tensors: Mapping[str, IntegerTensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    output_names: tuple[str, ...]

    def with_arithmetic(self, arithmetic: str) -> "IntegerGraph":
        """Returns the network in the arithmetic of another runtime; see `IntegerOperation`.

        Args:
            arithmetic: One of `tfmp.graph.targets`.
        """
        if arithmetic == FLOATING_POINT:
            return self
        operations = (
            dataclasses.replace(operation, attributes={**operation.attributes, "arithmetic": arithmetic})
            for operation in self.operations
        )
        return dataclasses.replace(self, operations=tuple(operations))

    def multiplier(self, operation: IntegerOperation) -> np.ndarray:
        """Returns the float32 factor per output channel from accumulator to output codes, rounded as in the runtime."""
        input_scale = np.float32(self.tensors[operation.inputs[0]].require_grid().scale)
        output_scale = np.float32(self.tensors[operation.output].require_grid().scale)
        kernel_scale = np.asarray(operation.constants["kernel_scale"], np.float32)
        return (input_scale * kernel_scale / output_scale).astype(np.float32)
