"""The fixed model against its integer network, from one stored tensor to the next: the oracle of the folding tests."""

import dataclasses

import numpy as np

from tests.tflite import integer_reference
from tfmp.bindings.framework import framework_of
from tfmp.graph import map_references
from tfmp.lowering.lowering import Lowering
from tfmp.operators import operator_of
from tfmp.operators.integer_builder import Codes
from tfmp.transform.stored_values import StoredValues

_MOVING = (
    "max_pool",
    "pad",
    "gather",
    "maximum",
    "minimum",
    "reduce_max",
    "reduce_min",
    "depth_to_space",
    "slice",
    "transpose",
    "reshape",
    "concatenate",
)
_FLOAT32 = 0.004  # steps


def check_segments(fixed, inputs, mode="fast"):
    """Compares every stored tensor with what the layers of the fixed model make of the stored tensors before it.

    Both get the same codes, those that the integer network computes. They may differ by the roundings that lie between:
    half a step for each operation, half a unit of the accumulator for each bias.

    Args:
        fixed: The fixed model.
        inputs: Arrays by the names of the integer network's inputs.
        mode: How the file stores weights.

    Returns:
        The integer network, its tensors by name, and kinds of operations to their largest difference, in steps.
    """
    return _Segments(fixed, inputs, mode).run()


class _Segments:
    def __init__(self, fixed, inputs, mode):
        self.fixed, self.framework = fixed, framework_of(fixed)
        self.graph = self.framework.read(fixed)
        self.folder = Lowering(self.graph, StoredValues(mode))
        self.integers = self.folder.run()
        # With paddings that convolutions add by themselves in the result, whose codes the file does not store.
        builder = self.folder.builder
        self.whole = dataclasses.replace(
            self.integers, operations=tuple(builder.operations), tensors=dict(builder.tensors)
        )
        self.codes = integer_reference.run(self.whole, inputs)
        if len(self.whole.operations) > len(self.integers.operations):
            for name, codes in integer_reference.run(self.integers, inputs).items():
                np.testing.assert_array_equal(codes, self.codes[name], err_msg=name)
        self.makers = {operation.output: operation for operation in self.whole.operations}
        self.values = {tensor: inputs[name] for tensor, name in self.folder.inputs.items()}
        self.given, self.found = set(self.integers.inputs), {}

    def run(self):
        for call in self.graph.calls:
            layer = self.graph.layer_of(call)
            if layer.kind == "input":
                continue
            if layer.kind == "quantize":
                self._take(call.inputs[0], call.outputs[0], self.folder.grid(layer))
                continue
            values = dict(self.values)
            if layer.is_quantized:
                own = f"{call.inputs[0]} of {layer.name}"
                self._take(call.inputs[0], own, self.folder.grid(layer))
                values[call.inputs[0]] = self.values[own]
            built = self.framework.layer(self.fixed, layer.name)
            args, kwargs = map_references((call.args, dict(call.kwargs)), lambda ref: values[ref.name])  # noqa: B023
            outputs = built(*args, **kwargs)
            outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
            self.values.update(zip(call.outputs, map(np.asarray, outputs), strict=True))
            grid = operator_of(layer).grid
            if grid is not None and (call.outputs[0], Codes.all_of(grid)) in self.folder.held:
                self._take(call.outputs[0], call.outputs[0], grid)
        return self.integers, self.codes, self.found

    def _take(self, tensor, name, grid):
        """Compares a tensor and goes on with its codes."""
        held = self.folder.held[tensor, Codes.all_of(grid)]
        found = self.codes[held]
        positions = np.clip(self.values[tensor] / np.float64(grid.scale), grid.low, grid.high)
        difference = np.abs(positions - found).max()
        assert difference <= self._bound(held) / grid.scale + _FLOAT32, (tensor, self.makers[held].kind, difference)
        self.values[name] = (found * np.float32(grid.scale)).astype(np.float32)
        self.given.add(held)
        kind = self._maker(held).kind
        self.found[kind] = max(self.found.get(kind, 0), difference)

    def _maker(self, name):
        """Returns the operation that computes a tensor, looking back through those that only move codes."""
        operation = self.makers[name]
        while operation.kind in _MOVING and operation.inputs[0] in self.makers:
            operation = self.makers[operation.inputs[0]]
        return operation

    def _bound(self, name):
        """Largest difference that roundings since the stored tensors can make, as a number."""
        operation = self.makers[name]
        before = [0.0 if source in self.given else self._bound(source) for source in operation.inputs]
        if operation.kind in _MOVING:
            return max(before)
        step = self.whole.tensors[name].grid.scale
        # A sigmoid beyond its largest code, 255 / 256, is up to one step away from it.
        own = step if operation.attributes.get("function") == "sigmoid" else 0.5 * step
        if "kernel_scale" in operation.constants:
            own += 0.5 * step * float(self.whole.multiplier(operation).max())
        if operation.kind == "multiply":
            largest = [np.abs(self.codes[source]).max() * self._scale(source) for source in operation.inputs]
            return own + before[0] * largest[1] + before[1] * largest[0]
        if operation.kind == "activation" and operation.attributes["function"] == "leaky_relu":
            own += 0.5 * np.abs(self.codes[operation.inputs[0]]).max() / 256 * step  # its factors are multiples of that
        return own + sum(before)

    def _scale(self, name):
        return self.whole.tensors[name].grid.scale
