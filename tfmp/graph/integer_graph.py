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
    """One operation on codes, or on numbers.

    What the operations of a kind compute, with which attributes, constants, roundings and limits, is at the top of the
    file of its family in `tfmp/operators`, beside its record in `tfmp.operators.OPERATIONS`. There `q(y)` is `rint(y)`,
    half to even, then clipped to the output's `[low, high]`. Every operation on float32 numbers rounds to float32. The
    roundings are those of the runtime, found by running it. The writer refuses what is beyond the limits, and says what
    to do. Code 0 lies within the bounds of every tensor. What XNNPACK does not run is equally exact, but slower.

    With an attribute `arithmetic="fixed_point"`, operations round as TensorFlow Lite for Microcontrollers does:
    `tfmp.ops.integer.fixed_point`. `average_pool` then always rounds like one with padding.

    Every operation may clip further: attributes `low` and `high`, where present, bound the output codes more tightly
    than the output's grid (a fused ReLU has `low = 0`).

    Args:
        name: Unique in the graph.
        kind: One of `tfmp.operators.OPERATIONS`.
        inputs: Names of the input tensors.
        output: Name of the output tensor.
        attributes: Arguments by name; pairs are (height, width); `padding` is `"same"` or `"valid"`.
        constants: Constant arrays by name.
        layer: Name of the layer of the user's model that it computes, `""` if there is none.
        more_outputs: Names of further output tensors, of a layer in floating point with several.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    layer: str = ""
    more_outputs: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all output tensors."""
        return (self.output, *self.more_outputs)

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
