"""Compares one operation of a file in TensorFlow Lite for Microcontrollers with its layer."""

import numpy as np
import pytest

from tests.ops.integer.layer_check import layer_of
from tfmp.graph.targets import MICRO
from tfmp.tflite.micro_interpreter import MicroInterpreter
from tfmp.tflite.writer.write_tflite import write_tflite

needs_micro_runtime = pytest.mark.skipif(
    not MICRO.is_installed, reason="the package tflite-micro (extra `micro`) is not installed"
)


def check_in_micro_runtime(graph, inputs):
    """Runs a graph of one output on the first inputs: the codes of the runtime and of the layers are equal."""
    graph = graph.with_arithmetic(MICRO.arithmetic)
    interpreter = MicroInterpreter(write_tflite(graph, target=MICRO))
    inputs = {name: values[:2] for name, values in inputs.items()}
    codes = interpreter.codes(inputs)
    for operation in graph.operations[:-1]:
        tensors = [{**inputs, **codes}[name].astype(np.float32) for name in operation.inputs]
        expected = layer_of(graph, operation)(tensors if len(tensors) > 1 else tensors[0])
        np.testing.assert_array_equal(codes[operation.output], expected, err_msg=operation.kind)
    (answer,) = interpreter.run(inputs).values()
    (result,) = graph.operations[-1].inputs
    np.testing.assert_array_equal(
        answer, codes[result].astype(np.float32) * np.float32(graph.tensors[result].grid.scale)
    )
