"""TensorFlow Lite for Microcontrollers runs files; its errors and the bytes of its arena are shown."""

import builtins
import dataclasses

import numpy as np
import pytest

from tests.tflite.micro_check import check_in_micro_runtime, needs_micro_runtime
from tests.tflite.random_graphs import one_operation, residual_network
from tfmp.graph import Grid
from tfmp.tflite.micro_interpreter import MicroInterpreter
from tfmp.tflite.writer.write_tflite import write_tflite

GRID = Grid(0.5, -128, 127)


def activation(function):
    return one_operation("activation", [(4,)], [GRID], (4,), GRID, attributes={"function": function})


@needs_micro_runtime
def test_a_network_of_several_operators_runs_in_batches_of_any_size():
    graph = residual_network(0)
    content = write_tflite(graph, input_type="int8", output_type="int8", batch_size=2)
    interpreter = MicroInterpreter(content)
    ((name, tensor),) = interpreter.inputs.items()
    inputs = np.random.default_rng(0).integers(-128, 128, (3, *tensor.shape[1:]), np.int8)
    codes, outputs = interpreter.codes(inputs), interpreter.run(inputs)
    assert len(codes) > 5
    assert len(outputs) == 2
    for output, number in zip(graph.output_names, graph.outputs, strict=True):
        (operation,) = (each for each in graph.operations if each.output == number)
        stored = codes[operation.inputs[0]] + interpreter.outputs[output].zero_point
        np.testing.assert_array_equal(outputs[output], stored)
        np.testing.assert_array_equal(interpreter.run({name: inputs[1:2]})[output], stored[1:2])


@needs_micro_runtime
def test_the_arena_holds_the_largest_tensors():
    small, large = (
        MicroInterpreter(write_tflite(one_operation("activation", [(n,)], [GRID], (n,), GRID, attributes=attributes)))
        for n in (16, 4096)
        for attributes in [{"function": "elu"}]
    )
    # Numbers of 4 bytes and codes of one are there at once, then codes and numbers.
    assert large.arena_bytes - small.arena_bytes == pytest.approx(6 * (4096 - 16), rel=0.01)


@needs_micro_runtime
def test_an_operator_that_the_runtime_lacks_is_named():
    with pytest.raises(ValueError, match='(?s)Microcontrollers can run.*target="micro".*GELU'):
        MicroInterpreter(write_tflite(activation("gelu")))


@needs_micro_runtime
@pytest.mark.parametrize("content", [b"", b"no model", bytes(64)], ids=["empty", "text", "zeros"])
def test_a_foreign_file(content):
    with pytest.raises(ValueError, match="TFLite file"):
        MicroInterpreter(content)


def test_the_package_that_is_missing_is_named(monkeypatch):
    real = builtins.__import__

    def without_package(name, *arguments, **keywords):
        if name.startswith("tflite_micro"):
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **keywords)

    content = write_tflite(dataclasses.replace(activation("elu")))
    monkeypatch.setattr(builtins, "__import__", without_package)
    with pytest.raises(ImportError, match=r"tfmp\[micro\]"):
        MicroInterpreter(content)


@needs_micro_runtime
@pytest.mark.parametrize(("scales", "slope"), [((0.1, 0.3), 1.5), ((0.3, 0.1), 0.5), ((0.45, 0.3), 0.3)])
def test_factors_of_a_leaky_relu_near_a_half(scales, slope):
    """In single precision they are exactly half a step, and ties would be rounded otherwise."""
    grids = [Grid(scale, -128, 127) for scale in scales]
    attributes = {"function": "leaky_relu", "negative_slope": slope}
    graph = one_operation("activation", [(256,)], grids[:1], (256,), grids[1], attributes=attributes)
    numbers = np.arange(-128, 128, dtype=np.float32)[np.newaxis] * np.float32(scales[0])
    check_in_micro_runtime(graph, {"input_0": numbers})
