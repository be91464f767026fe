"""A layer or operation between quantizers, in the file, in the integer layers and in NumPy."""

import keras
import numpy as np

from tests.tflite.micro_check import check_in_micro_runtime
from tfmp import layers
from tfmp.bindings.framework import framework_of
from tfmp.bindings.integer_model import integer_model
from tfmp.graph import Grid
from tfmp.graph.targets import MICRO
from tfmp.lowering.byte_counter import ByteCounter
from tfmp.lowering.lowering import Lowering
from tfmp.lowering.write_operations import write_operations
from tfmp.operators import OPERATIONS
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

SIGNED, UNSIGNED, RESULT = Grid(0.03, -128, 127), Grid(0.02, 0, 255), Grid(0.035, -128, 127)
BATCH = 2


class _Grids:
    """Provides the grids of the quantizers by the names of their layers."""

    def __init__(self, grids):
        self.grids = grids

    def grid(self, layer):
        return self.grids[layer.name]


def lowered(function, shapes, grids, *, result=RESULT, package=keras, quantize=layers.Quantize):
    """Returns the integer network of a function of tensors between quantizers.

    Args:
        function: Takes one tensor for each shape, and returns one or several.
        shapes: Shapes without the batch.
        grids: Grid of each tensor.
        result: Grid of each output.
        package: `keras` or `tf_keras`.
        quantize: Its class of quantizers.
    """
    inputs = [package.Input(shape, name=f"input_{number}") for number, shape in enumerate(shapes)]
    names = {f"before_{number}": grid for number, grid in enumerate(grids)}
    stored = [quantize(8, signed=True, name=name)(tensor) for name, tensor in zip(names, inputs, strict=True)]
    outputs = function(*stored)
    outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    after = [quantize(8, signed=True, name=f"after_{number}")(tensor) for number, tensor in enumerate(outputs)]
    names |= {f"after_{number}": result for number in range(len(outputs))}
    model = package.Model(inputs, after)
    return lowered_model(model, names), framework_of(model)


def lowered_model(model, grids):
    """Returns the integer network of a model without kernels; `grids` are those of its quantizers by name."""
    return Lowering(framework_of(model).read(model), _Grids(grids)).run()


def check_operator(function, meaning, shapes, grids=None, *, result=RESULT, steps=0.5, **options):
    """Compares a function in the file with the integer layers, exactly, and with its meaning.

    Args:
        function: As in `lowered`.
        meaning: The same function of float64 arrays.
        shapes: Shapes without the batch.
        grids: Grid of each tensor; signed ones by default.
        result: Grid of each output.
        steps: Largest difference from the meaning, in steps of the result.
        **options: Of `lowered`.

    Returns:
        The kinds of the integer operations.
    """
    grids = grids or [SIGNED] * len(shapes)
    graph, framework = lowered(function, shapes, grids, result=result, **options)
    inputs = {name: _numbers(graph, name, grid) for name, grid in zip(graph.inputs, grids, strict=True)}
    content = write_tflite(graph, batch_size=BATCH)
    found = Interpreter(content).run(inputs)
    arrays = list(inputs.values())
    folded = integer_model(graph, framework)(arrays if len(arrays) > 1 else arrays[0])
    folded = folded if isinstance(folded, dict) else {graph.output_names[0]: folded}
    values = [np.rint(x / np.float64(grid.scale)) * grid.scale for x, grid in zip(arrays, grids, strict=True)]
    expected = meaning(*values)
    expected = list(expected) if isinstance(expected, list | tuple) else [expected]
    for name, numbers in zip(graph.output_names, expected, strict=True):
        np.testing.assert_array_equal(found[name], folded[name])
        numbers = np.clip(numbers / result.scale, result.low, result.high)
        np.testing.assert_allclose(found[name] / np.float64(result.scale), numbers, rtol=0, atol=steps + 1e-4)
    counter = ByteCounter()
    write_operations(graph, counter, batch_size=BATCH)
    assert 250 < len(content) - counter.total_bytes < 1000  # of the file itself
    operations = [operation for operation in graph.operations if operation.kind != "dequantize"]
    lacks = [OPERATIONS[operation.kind].missing_in(MICRO, operation, graph) for operation in operations]
    if MICRO.is_installed and not any(lacks) and len(graph.outputs) == 1:
        check_in_micro_runtime(graph, inputs)
    return {operation.kind for operation in graph.operations} - {"quantize", "dequantize"}


def _numbers(graph, name, grid):
    """Returns float32 numbers on a grid: every code once or more, then random ones."""
    shape = (BATCH, *graph.tensors[name].shape[1:])
    count = int(np.prod(shape))
    codes = np.random.default_rng(len(name)).permutation(np.resize(np.arange(grid.low, grid.high + 1), count))
    return (codes.reshape(shape) * np.float32(grid.scale)).astype(np.float32)
