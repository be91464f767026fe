"""Builds an integer network operation by operation."""

from typing import NamedTuple

import numpy as np

from tfmp.types import Grid, IntegerGraph, IntegerOperation, IntegerTensor

_LARGEST_FACTOR = 255
_ONCE = {"strides": (1, 1), "padding": "valid", "dilation": (1, 1)}


class Codes(NamedTuple):
    """What a tensor may hold: codes of a grid, from `low` to `high`."""

    grid: Grid
    low: int
    high: int

    @classmethod
    def all_of(cls, grid: Grid) -> "Codes":
        """All codes of a grid."""
        return cls(grid, grid.low, grid.high)

    def rectified(self, max_value: float | None) -> "Codes":
        """Those that a ReLU leaves: none below zero, none above `max_value` if it is given."""
        high = self.high if max_value is None else min(self.high, int(np.rint(max_value / self.grid.scale)))
        return Codes(self.grid, max(self.low, 0), max(high, 1))


class IntegerBuilder:
    """Collects tensors and operations; a method for what takes more than one of them.

    Every method returns the name of the tensor that it made.
    """

    def __init__(self):
        self.operations: list[IntegerOperation] = []
        self.tensors: dict[str, IntegerTensor] = {}

    def input(self, name, shape):
        """Adds a floating-point input."""
        self.tensors[name] = IntegerTensor(name, tuple(shape), None)
        return name

    def add(self, kind, inputs, name, shape, codes, *, attributes=None, constants=None, layer=""):
        """Adds an operation; `codes` are those of its output, None for floating point."""
        unique, number = name, 0
        while unique in self.tensors:
            number += 1
            unique = f"{name}_{number}"
        attributes, constants, grid = dict(attributes or {}), dict(constants or {}), None
        if constants:
            constants["kernel_scale"] = self._limited(constants["kernel_scale"], inputs[0], codes.grid)
        if codes is not None:
            grid = codes.grid
            if codes != Codes.all_of(grid):
                attributes["low"], attributes["high"] = codes.low, codes.high
        self.tensors[unique] = IntegerTensor(unique, tuple(shape), grid)
        operation = IntegerOperation(unique, kind, tuple(inputs), unique, attributes, constants, layer)
        self.operations.append(operation)
        return unique

    def _limited(self, kernel_scale, source, grid):
        """Scales that the runtime takes: behind a dead tensor, whose grid is all but zero, they can be far beyond.

        A grid has no code beyond +-255, so that from a factor of 255 on every accumulator but zero saturates.
        """
        largest = _LARGEST_FACTOR * np.float64(grid.scale) / self.tensors[source].grid.scale
        return np.minimum(kernel_scale, largest).astype(np.float32)

    def requantized(self, source, name, codes):
        """The same values on another grid."""
        channels = self.tensors[source].shape[-1]
        constants = {
            "kernel": np.ones(channels, np.int8),
            "kernel_scale": np.ones(channels, np.float32),
            "bias": np.zeros(channels, np.int32),
        }
        return self.scaled(source, name, codes, constants)

    def scaled(self, source, name, codes, constants, *, layer=""):
        """A product per channel, `[channels]` constants, as a depthwise convolution whatever the rank."""
        shape, grid = self.tensors[source].shape, self.tensors[source].grid
        image = shape if len(shape) >= 4 else (shape[0], *(1,) * (4 - len(shape)), *shape[1:])
        if image != shape:
            source = self.add("reshape", (source,), f"{name}_image", image, Codes.all_of(grid))
        constants = {**constants, "kernel": constants["kernel"].reshape(1, 1, -1, 1)}
        made = self.add(
            "depthwise_conv2d", (source,), name, image, codes, attributes=_ONCE, constants=constants, layer=layer
        )
        return made if image == shape else self.add("reshape", (made,), f"{name}_values", shape, codes)

    def convolution_1d(self, source, name, shape, codes, *, attributes, constants):
        """A 1D convolution as a 2D one of height 1, its causal padding ahead of it."""
        (batch, length, channels), grid = self.tensors[source].shape, self.tensors[source].grid
        own = Codes.all_of(grid)
        image = self.add("reshape", (source,), f"{name}_image", (batch, 1, length, channels), own)
        if attributes["padding"] == "causal":
            before = (constants["kernel"].shape[1] - 1) * attributes["dilation"][1]
            padded, paddings = (batch, 1, length + before, channels), ((0, 0), (before, 0))
            image = self.add("pad", (image,), f"{name}_padding", padded, own, attributes={"paddings": paddings})
            attributes = {**attributes, "padding": "valid"}
        row = (shape[0], 1, *shape[1:])
        made = self.add("conv2d", (image,), name, row, codes, attributes=attributes, constants=constants, layer=name)
        return self.add("reshape", (made,), f"{name}_sequence", shape, codes)

    def full_average(self, source, name, shape, codes, *, attributes):
        """An average over windows none of which reaches beyond the edge, on any grid: a convolution by ones."""
        channels, pool = shape[-1], attributes["pool_size"]
        constants = {
            "kernel": np.ones((*pool, channels, 1), np.int8),
            "kernel_scale": np.full(channels, 1 / np.prod(pool), np.float32),
            "bias": np.zeros(channels, np.int32),
        }
        attributes = {**_ONCE, "strides": attributes["strides"]}
        return self.add(
            "depthwise_conv2d", (source,), name, shape, codes, attributes=attributes, constants=constants, layer=name
        )

    def global_maximum(self, source, name, shape, codes):
        """The maximum over height and width, which stay as sizes of 1 where `shape` has four axes."""
        batch, height, width, channels = self.tensors[source].shape
        window = {"pool_size": (height, width), "strides": (height, width), "padding": "valid"}
        pooled = self.add("max_pool", (source,), name, (batch, 1, 1, channels), codes, attributes=window, layer=name)
        return pooled if len(shape) == 4 else self.add("reshape", (pooled,), f"{name}_values", shape, codes)

    def graph(self, name, inputs, outputs, output_names) -> IntegerGraph:
        """The network so far."""
        return IntegerGraph(
            name, tuple(self.operations), self.tensors, tuple(inputs), tuple(outputs), tuple(output_names)
        )
