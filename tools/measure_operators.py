r"""Prints what operators of a file without a kernel cost, in nanoseconds of CPU time per value, as a table.

    python tools/measure_operators.py

Each runs alone, on the 8-bit codes of an image of 128 x 128 positions and 64 channels, with one thread.
"""

import time

import numpy as np
from absl import app, flags

from tfmp.graph import Grid, IntegerGraph, IntegerOperation, IntegerTensor
from tfmp.graph.integer_graph import FIXED_GRIDS
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

_ROUNDS = flags.DEFINE_integer("rounds", 15, "Runs of each operator, which take turns and of which the median counts.")
_GRID, _SHAPE = Grid(0.05, -128, 127), (128, 128, 64)
# The operator in the file, and an operation that it computes: kind, number of inputs, arguments.
_OPERATORS = {
    "LOGISTIC": ("activation", 1, {"attributes": {"function": "sigmoid"}, "grid": FIXED_GRIDS["sigmoid"]}),
    "ELU": ("activation", 1, {"attributes": {"function": "elu"}}),
    "GELU": ("activation", 1, {"attributes": {"function": "gelu"}}),
    "a table: CAST, CAST, GATHER": ("lookup", 1, {"constants": {"table": np.arange(256).astype(np.int8)}}),
    "MUL of a tensor with itself": ("activation", 1, {"attributes": {"function": "square"}}),
    "ADD": ("add", 2, {}),
    "MAXIMUM": ("maximum", 2, {}),
    "GATHER of rows": ("gather", 1, {"attributes": {"axis": 1, "indices": tuple(reversed(range(128)))}}),
    "GATHER of pixels": ("gather", 1, {"attributes": {"axis": 2, "indices": tuple(reversed(range(128)))}}),
    "GATHER of channels": ("gather", 1, {"attributes": {"axis": 3, "indices": tuple(reversed(range(64)))}}),
    "TRANSPOSE of height and channels": ("transpose", 1, {"attributes": {"permutation": (0, 3, 2, 1)}}),
    "MEAN of channels": ("reduce_mean", 1, {"attributes": {"axes": (3,), "keepdims": True}}),
    "REDUCE_MAX of positions": ("reduce_max", 1, {"attributes": {"axes": (1, 2), "keepdims": True}}),
    "DEPTH_TO_SPACE": ("depth_to_space", 1, {"attributes": {"block_size": 2}}),
}
_SHAPES = {"transpose": (64, 128, 128), "depth_to_space": (256, 256, 16)}


def interpreter_of(kind, num_inputs, *, attributes=None, constants=None, grid=_GRID):
    """Returns the interpreter of a file with one operation on codes, and the names of its inputs."""
    axes = (attributes or {}).get("axes", ())
    reduced = tuple(1 if axis in axes else size for axis, size in enumerate(_SHAPE, start=1))
    codes = [f"codes_{number}" for number in range(num_inputs)]
    tensors = {
        "result": IntegerTensor("result", (1, *_SHAPES.get(kind, reduced)), grid),
        "numbers": IntegerTensor("numbers", (1, *_SHAPES.get(kind, reduced)), None),
    }
    operations = []
    for number, name in enumerate(codes):
        source = f"input_{number}"
        tensors[source], tensors[name] = (
            IntegerTensor(each, (1, *_SHAPE), of) for each, of in ((source, None), (name, _GRID))
        )
        operations.append(IntegerOperation(f"quantize_{number}", "quantize", (source,), name))
    operations.append(IntegerOperation(kind, kind, tuple(codes), "result", attributes or {}, constants or {}))
    operations.append(IntegerOperation("dequantize", "dequantize", ("result",), "numbers"))
    inputs = tuple(f"input_{number}" for number in range(num_inputs))
    graph = IntegerGraph("one", tuple(operations), tensors, inputs, ("numbers",), ("answer",))
    return Interpreter(write_tflite(graph, input_type="int8", output_type="int8")), inputs


def nanoseconds_per_value(rounds):
    """Returns the median cost of every operator by its name, with the call, which copies inputs and outputs."""
    image = np.random.default_rng(0).integers(-128, 128, (1, *_SHAPE)).astype(np.int8)
    runs, seconds = {}, {}
    for name, (kind, num_inputs, options) in _OPERATORS.items():
        interpreter, inputs = interpreter_of(kind, num_inputs, **options)
        runs[name] = interpreter, dict.fromkeys(inputs, image)
    for _ in range(rounds):
        for name, (interpreter, inputs) in runs.items():
            start = time.process_time()
            interpreter.run(inputs)
            seconds.setdefault(name, []).append(time.process_time() - start)
    return {name: 1e9 * np.median(times) / image.size for name, times in seconds.items()}


def main(_):
    """Prints one row for each operator."""
    print("| operator | ns per value |\n|---|---|")
    for name, cost in nanoseconds_per_value(_ROUNDS.value).items():
        print(f"| {name} | {cost:.2f} |")


if __name__ == "__main__":
    app.run(main)
