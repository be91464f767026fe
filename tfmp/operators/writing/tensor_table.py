"""The tensors of an `IntegerGraph` in a TFLite model."""

import dataclasses
import math
from collections.abc import Sequence

from tfmp.graph.integer_graph import Grid, IntegerGraph, IntegerOperation
from tfmp.graph.open_values import FLOAT_GRID, scales_of
from tfmp.graph.runtime_limits import INT8_HIGH, INT8_LOW, NEVER_FUSED
from tfmp.graph.targets import LITERT, Target
from tfmp.operators.writing.sink import UNFUSED, Options, Quantization, Sink

ANY_CODE = (-math.inf, math.inf)
UNCLIPPED = "/unclipped"  # ends the name of a helper tensor
CODE_TYPES = ("int8", "uint8")  # of inputs and outputs that are codes instead of numbers


class TensorTable:
    """Adds the tensors of a graph to the file and keeps their codes between `low` and `high`.

    INT8 holds `code + zero_point` and saturates at both ends, which is an exact clip if an end of the range coincides
    with an end of INT8. The zero point of the grid puts `high` at 127. If `low` is not at -128 then, a fused ReLU clips
    at a `low` of 0; for other values, a helper tensor has a zero point that puts `low` at -128, and QUANTIZE between
    equal scales, which the runtime computes exactly, copies the codes. MAXIMUM would do the same, but XNNPACK does not
    run it on INT8.

    Args:
        graph: The network.
        sink: Receives tensors and operators.
        batch_size: Size of the free first axis.
        input_type: Type in which the caller gives floating-point inputs: `"float32"`, or codes as one of `CODE_TYPES`.
        output_type: The same for outputs.
        target: The runtime of the file.
    """

    def __init__(
        self,
        graph: IntegerGraph,
        sink: Sink,
        batch_size: int,
        *,
        input_type: str = "float32",
        output_type: str = "float32",
        target: Target = LITERT,
    ):
        self.graph = graph
        self.sink = sink
        self.input_type, self.output_type, self.target = input_type, output_type, target
        self.batch_size = batch_size
        self._index: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        """Returns True if a tensor is in the file."""
        return name in self._index

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the sizes of a tensor in the file."""
        sizes = self.graph.tensors[name].shape
        if None in sizes[1:]:
            raise ValueError(
                f"Only the batch may be free in a file of fixed sizes. Received: shape {sizes} of tensor {name!r}. "
                "Build the model with a fixed input shape."
            )
        return tuple(self.batch_size if size is None else size for size in sizes)

    def grid(self, name: str) -> Grid:
        """Returns the grid of a tensor that must have one."""
        grid = self.graph.tensors[name].grid
        if grid is None:
            raise ValueError(
                f"Expected a quantized tensor. Received: floating-point tensor {name!r}. Quantize it first."
            )
        return grid

    def index(self, name: str) -> int:
        """Returns the index of a tensor in the file; adds it when it is new."""
        if name not in self._index:
            tensor, grid = self.graph.tensors[name], self.graph.tensors[name].grid
            if grid is None or grid == FLOAT_GRID:
                self._index[name] = self.sink.tensor(name, self.shape(name), dtype=tensor.dtype)
            else:
                self._index[name] = self.integers(name, name, zero_point=grid.zero_point)
        return self._index[name]

    def alias(self, name: str, index: int) -> None:
        """Maps a tensor of the graph to one that is already in the file."""
        self._index[name] = index

    def integers(self, label: str, like: str, *, zero_point: int, dtype: str = "int8") -> int:
        """Adds a tensor with the shape and scale of the graph's tensor `like` and another zero point."""
        quantization = Quantization(scales_of(self.grid(like)), zero_point)
        return self.sink.tensor(label, self.shape(like), dtype=dtype, quantization=quantization)

    def same_grid(self, operation: IntegerOperation) -> None:
        """Checks that an operation that only moves codes reads and writes one scale and zero point."""
        output = self.grid(operation.output)
        for name in operation.inputs:
            grid = self.grid(name)
            if (grid.scale, grid.high) != (output.scale, output.high):
                raise ValueError(
                    f"`{operation.kind}` moves codes without changing them: its tensors must share scale and `high`. "
                    f"Received: {grid} and {output} at operation {operation.name!r}. Requantize the input first."
                )

    def bounds(self, operation: IntegerOperation) -> tuple[int, int]:
        """Returns the smallest and largest code of an operation's output."""
        grid = self.grid(operation.output)
        low = max(grid.low, operation.attributes.get("low", grid.low))
        high = min(grid.high, operation.attributes.get("high", grid.high))
        if not low <= 0 <= high:
            raise ValueError(
                f"Code 0 must lie between the bounds of a tensor. Received: {low} to {high} at operation "
                f"{operation.name!r}. Widen its grid or its `low` and `high`."
            )
        return low, high

    def add_operator(
        self,
        operation: IntegerOperation,
        kind: str,
        inputs: Sequence[int],
        *,
        version: int,
        options: Options | None = None,
        reach: tuple[float, float] = ANY_CODE,
        keeps_zero_point: bool = False,
    ) -> None:
        """Appends the operator that computes the output of an operation, and the operators that clip it.

        Args:
            operation: The operation, which has the output, `low` and `high`.
            kind: Name in the schema's `BuiltinOperator`.
            inputs: Indices of tensors.
            version: The operator's version in the schema.
            options: Options of the operator; a ReLU is fused if the codes need it and the operator allows it.
            reach: Smallest and largest code that are possible before clipping.
            keeps_zero_point: If true, the operator must write with the zero point of the output's grid.
        """
        name, grid = operation.output, self.grid(operation.output)
        low, high = self.bounds(operation)
        zero_points = []
        if low > reach[0]:
            if low == 0 and kind not in NEVER_FUSED and options is not None and UNFUSED.keys() <= options.fields.keys():
                options = dataclasses.replace(options, fields={**options.fields, "fused_activation_function": "RELU"})
            elif low > INT8_LOW - grid.zero_point:
                zero_points.append(INT8_LOW - low)
        if grid.high > high < reach[1]:
            zero_points.append(INT8_HIGH - high)
        if zero_points and keeps_zero_point:
            zero_points.insert(0, grid.zero_point)
        helpers = [self.integers(f"{name}{UNCLIPPED}", name, zero_point=point) for point in zero_points]
        chain = [*helpers, self.index(name)]
        self.sink.operator(kind, inputs, chain[:1], version=version, options=options)
        for source, target in zip(chain, chain[1:], strict=False):
            self.sink.operator("QUANTIZE", [source], [target], version=1, options=Options("QuantizeOptions"))
