"""Builds an integer network operation by operation."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfmp.graph import Grid, IntegerGraph, IntegerOperation, IntegerTensor
from tfmp.graph.open_values import Constant, is_open
from tfmp.graph.runtime_limits import LARGEST_INPUT, LARGEST_PRODUCT

Sizes = tuple[Any, ...]  # of a tensor: integers, except for the batch, which may be None
_VANISHING_FACTOR = 2.0**-40
_ONCE = {"strides": (1, 1), "padding": "valid", "dilation": (1, 1)}


class Codes(NamedTuple):
    """The codes that a tensor may contain: those of a grid, from `low` to `high`."""

    grid: Grid
    low: int
    high: int

    @classmethod
    def all_of(cls, grid: Grid) -> "Codes":
        """Returns all codes of a grid."""
        return cls(grid, grid.low, grid.high)

    def rectified(self, max_value: float | None) -> "Codes":
        """Returns the codes after a ReLU: none below zero, none above `max_value` if given."""
        return self.between(0.0, math.inf if max_value is None else max_value)

    def between(self, low: float, high: float) -> "Codes":
        """Returns the codes of values from `low`, which is at most 0, to `high`, which is above 0."""
        smallest, largest = (
            None if math.isinf(bound) else int(np.rint(bound / self.grid.scale)) for bound in (low, high)
        )
        return Codes(
            self.grid,
            self.low if smallest is None else max(self.low, smallest),
            self.high if largest is None else max(min(self.high, largest), 1),
        )


class IntegerBuilder:
    """Collects the tensors and operations of an integer network.

    Methods that add operations return the name of the output tensor. Some add more than one operation.
    """

    def __init__(self) -> None:
        self.operations: list[IntegerOperation] = []
        self.tensors: dict[str, IntegerTensor] = {}

    def input(self, name: str, shape: Sizes, dtype: str = "float32") -> str:
        """Adds an input, which has no grid."""
        self.tensors[name] = IntegerTensor(name, tuple(shape), None, dtype)
        return name

    def sizes(self, tensor: str) -> Sizes:
        """Returns the sizes of an integer tensor."""
        return self.tensors[tensor].shape

    def store(self, name: str, source: str, *, quantizer: bool = False) -> None:
        """Records which tensor of the graph an integer tensor stores; if several, the last one that is no quantizer."""
        if not quantizer or not self.tensors[name].source:
            tensor = self.tensors[name]
            self.tensors[name] = IntegerTensor(name, tensor.shape, tensor.grid, tensor.dtype, source)

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        name: str,
        shape: Sizes,
        codes: Codes | None,
        *,
        attributes: Mapping[str, Any] | None = None,
        constants: Mapping[str, Constant] | None = None,
        layer: str = "",
        dtype: str = "float32",
    ) -> str:
        """Adds an operation; `codes` describe its output, None for an output of numbers, which has a `dtype`."""
        unique = self.unused_name(name)
        attributes, constants, grid = dict(attributes or {}), dict(constants or {}), None
        if codes is not None:
            grid = codes.grid
            if codes != Codes.all_of(grid):
                attributes["low"], attributes["high"] = codes.low, codes.high
        self.tensors[unique] = IntegerTensor(unique, tuple(shape), grid, dtype)
        operation = IntegerOperation(unique, kind, tuple(inputs), unique, attributes, constants, layer)
        self.operations.append(self._within_limits(operation) if "kernel_scale" in constants else operation)
        return unique

    def add_numbers(
        self,
        kind: str,
        inputs: Sequence[str],
        name: str,
        outputs: Sequence[tuple[Sizes, str]],
        *,
        attributes: Mapping[str, Any],
        layer: str,
    ) -> tuple[str, ...]:
        """Adds an operation with several outputs of numbers, each of a shape and a dtype; returns their names."""
        names = []
        for shape, dtype in outputs:
            names.append(self.input(self.unused_name(name), shape, dtype))
        first, *others = names
        operation = IntegerOperation(first, kind, tuple(inputs), first, attributes, {}, layer, tuple(others))
        self.operations.append(operation)
        return tuple(names)

    def unused_name(self, name: str) -> str:
        """Returns `name`, or the first of `name_1`, `name_2`, ... that is not taken."""
        unique, number = name, 0
        while unique in self.tensors:
            number += 1
            unique = f"{name}_{number}"
        return unique

    def _within_limits(self, operation: IntegerOperation) -> IntegerOperation:
        """Returns the operation with scales that the runtime takes; those next to a dead tensor can be extreme.

        No grid has a code beyond +-255. With a factor of 255 or more, every accumulator except zero saturates; with a
        factor below 2**-33, none reaches code 1. If an accumulator could overflow, its factor becomes half of the
        largest safe one, because float32 scales are rounded.
        """
        grids = [self.tensors[name].require_grid() for name in (operation.inputs[0], operation.output)]
        if is_open(*grids, *operation.constants.values()):
            return operation
        input_scale, scale = (np.float64(grid.scale) for grid in grids)
        largest = np.minimum(float(LARGEST_INPUT), LARGEST_PRODUCT / 2 / np.maximum(operation.reach, 1))
        bounds = np.array([np.full_like(largest, _VANISHING_FACTOR), largest]) * scale / input_scale
        limited = np.clip(operation.constants["kernel_scale"], *bounds).astype(np.float32)
        return dataclasses.replace(operation, constants={**operation.constants, "kernel_scale": limited})

    def requantized(self, source: str, name: str, codes: Codes) -> str:
        """Adds a requantization of the same values to another grid."""
        channels = self.sizes(source)[-1]
        constants: dict[str, np.ndarray] = {
            "kernel": np.ones(channels, np.int8),
            "kernel_scale": np.ones(channels, np.float32),
            "bias": np.zeros(channels, np.int32),
        }
        return self.scaled(source, name, codes, constants)

    def scaled(
        self, source: str, name: str, codes: Codes, constants: Mapping[str, Constant], *, layer: str = ""
    ) -> str:
        """Adds a product per channel by `[channels]` constants, as a depthwise convolution for any rank."""
        shape = self.sizes(source)
        batch, *places, channels = shape
        image = (batch, math.prod(places[:-1]), *(places[-1:] or (1,)), channels)
        source = self.reshaped(source, f"{name}_image", image)
        constants = {**constants, "kernel": constants["kernel"].reshape(1, 1, -1, 1)}
        product = self.add(
            "depthwise_conv2d", (source,), name, image, codes, attributes=_ONCE, constants=constants, layer=layer
        )
        return self.reshaped(product, f"{name}_values", shape)

    def reshaped(self, source: str, name: str, shape: Sizes) -> str:
        """Adds a reshape that keeps the batch; returns the tensor itself if it has this shape already."""
        tensor = self.tensors[source]
        if tensor.shape == tuple(shape):
            return source
        return self.add("reshape", (source,), name, shape, Codes.all_of(tensor.require_grid()))

    def transposed(self, source: str, name: str, permutation: Sequence[int]) -> str:
        """Adds a permutation of the axes, the batch first."""
        tensor, attributes = self.tensors[source], {"permutation": tuple(permutation)}
        shape, codes = tuple(tensor.shape[axis] for axis in permutation), Codes.all_of(tensor.require_grid())
        return self.add("transpose", (source,), name, shape, codes, attributes=attributes)

    def as_rows(self, source: str, name: str) -> str:
        """Adds a reshape of a sequence to images of height 1."""
        batch, length, channels = self.sizes(source)
        return self.reshaped(source, f"{name}_image", (batch, 1, length, channels))

    def padded(self, source: str, name: str, paddings: Sequence[tuple[int, int]]) -> str:
        """Adds padding with zeros, `(before, after)` for each axis between batch and channels."""
        batch, *sizes, channels = self.sizes(source)
        shape = (batch, *(size + sum(sides) for size, sides in zip(sizes, paddings, strict=True)), channels)
        codes = Codes.all_of(self.tensors[source].require_grid())
        return self.add("pad", (source,), name, shape, codes, attributes={"paddings": paddings})

    def cropped(self, source: str, name: str, begin: Sequence[int], shape: Sizes) -> str:
        """Adds a slice of height and width; returns the tensor itself if it has this shape already."""
        tensor = self.tensors[source]
        if tensor.shape == tuple(shape):
            return source
        attributes = {"begin": (*begin, 0), "size": tuple(shape[1:])}
        return self.add("slice", (source,), name, shape, Codes.all_of(tensor.require_grid()), attributes=attributes)

    def repeated(self, source: str, name: str, axis: int, count: int, shape: Sizes) -> str:
        """Repeats everything after an axis `count` times, along the next axis; `shape` is the result's."""
        batch, *sizes = self.sizes(source)
        codes, inner = Codes.all_of(self.tensors[source].require_grid()), math.prod(sizes[axis:])
        rows = self.reshaped(source, f"{name}_rows", (batch, math.prod(sizes[:axis]), inner))
        wide = (batch, math.prod(sizes[:axis]), count * inner)
        copies = self.add("concatenate", (rows,) * count, f"{name}_copies", wide, codes, attributes={"axis": 2})
        return self.reshaped(copies, name, shape)

    def graph(
        self, name: str, inputs: Iterable[str], outputs: Iterable[str], output_names: Iterable[str]
    ) -> IntegerGraph:
        """Returns the network collected so far."""
        return IntegerGraph(
            name, tuple(self.operations), self.tensors, tuple(inputs), tuple(outputs), tuple(output_names)
        )
