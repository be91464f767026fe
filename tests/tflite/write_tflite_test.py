"""The content of a written file, read back with the schema, and errors of the writer."""

import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.tflite import integer_reference
from tests.tflite.gated_network import gated_network
from tests.tflite.random_graphs import one_operation, residual_network, weights
from tfmp.graph.integer_graph import Grid, IntegerGraph, IntegerOperation, IntegerTensor
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

GRID = Grid(0.5, 0, 15)
BYTE = Grid(0.1, 0, 255)


def read(content):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))


def dense_graph(**changes):
    constants = {**weights(np.random.default_rng(0), (4, 3), 3), **changes}
    return one_operation("dense", [(4,)], [GRID], (3,), Grid(0.3, -128, 127), constants=constants)


def activation_graph(function, grid, **attributes):
    return one_operation("activation", [(4,)], [GRID], (4,), grid, attributes={"function": function, **attributes})


def transposed_graph(kernel):
    constants = {**weights(np.random.default_rng(0), (1,), kernel.shape[2]), "kernel": kernel}
    return one_operation("conv2d_transpose", [(3, 3, 4)], [GRID], (3, 3, 4), BYTE, constants=constants)


def check_network(graph, images, outside):
    interpreter = Interpreter(write_tflite(graph, batch_size=4))
    found = interpreter.codes(images)
    expected = integer_reference.run(graph, {"image": images})
    for name, tensor in graph.tensors.items():
        if tensor.grid is not None:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    shipped = Interpreter(write_tflite(graph)).run(images)
    for name, tensor in zip(graph.output_names, graph.outputs, strict=True):
        np.testing.assert_array_equal(shipped[name], expected[tensor])
    assert {kind for kind, _ in interpreter.operators_outside_xnnpack()} == outside


@pytest.mark.parametrize("seed", range(12))
def test_residual_network_computes_what_the_reference_does(seed):
    images = np.random.default_rng(seed).uniform(-0.1, 1.1, (10, 9, 8, 3)).astype(np.float32)
    check_network(residual_network(seed), images, {"SOFTMAX", "AVERAGE_POOL_2D"})


@pytest.mark.parametrize("seed", range(12))
def test_gated_network_computes_what_the_reference_does(seed):
    images = np.random.default_rng(seed).uniform(-1.1, 1.1, (10, 6, 7, 3)).astype(np.float32)
    check_network(gated_network(seed), images, {"GELU"})


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_integer_input_and_output_are_the_codes_of_the_float_ones(dtype):
    graph = residual_network(3)
    images = np.random.default_rng(0).uniform(0, 1, (3, 9, 8, 3)).astype(np.float32)
    interpreter = Interpreter(write_tflite(graph, input_type=dtype, output_type=dtype))
    door = interpreter.inputs["image"]
    assert door.dtype == dtype and door.shape == (1, 9, 8, 3) and door.zero_point == {"int8": -128, "uint8": 0}[dtype]
    stored = np.rint(images / door.scale) + door.zero_point
    found = interpreter.run(stored.astype(dtype))
    for name, expected in Interpreter(write_tflite(graph)).run(images).items():
        tensor = interpreter.outputs[name]
        assert found[name].dtype == dtype
        codes = found[name].astype(np.float32) - tensor.zero_point
        np.testing.assert_array_equal(codes * np.float32(tensor.scale), expected)


@pytest.mark.parametrize("grid", [GRID, Grid(0.1, -4, 3), Grid(0.1, -3, 3), BYTE])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_integer_input_beyond_its_grid_is_clipped(grid, dtype):
    graph = one_operation("reshape", [(256,)], [grid], (256,), grid)
    interpreter = Interpreter(write_tflite(graph, input_type=dtype))
    door = interpreter.inputs["input_0"]
    stored = np.arange(256) - (128 if dtype == "int8" else 0)
    codes = interpreter.codes(stored.astype(dtype)[None])
    codes = codes.get("codes_0", codes["input_0"])[0]  # INT8 input that holds these codes is the tensor itself
    np.testing.assert_array_equal(codes, np.clip(stored - door.zero_point, grid.low, grid.high))


def test_quantization_stands_in_the_file():
    graph = dense_graph()
    content = write_tflite(graph, batch_size=5, description="words")
    model = read(content)
    assert content[4:8] == b"TFL3" and model.version == 3 and model.description == b"words"
    (signature,) = model.signatureDefs
    assert signature.signatureKey == b"serving_default"
    assert [each.name for each in signature.inputs + signature.outputs] == [b"input_0", b"answer"]
    (subgraph,) = model.subgraphs
    tensors = {tensor.name.decode(): tensor for tensor in subgraph.tensors}
    constants = graph.operations[1].constants
    kernel, bias, codes = tensors["middle/kernel"], tensors[""], tensors["codes_0"]
    np.testing.assert_array_equal(kernel.quantization.scale, constants["kernel_scale"])
    np.testing.assert_array_equal(bias.quantization.scale, np.float32(0.5) * constants["kernel_scale"])
    assert not kernel.quantization.zeroPoint.any() and kernel.quantization.quantizedDimension == 0
    assert list(kernel.shape) == [3, 4] and bias.type == schema.TensorType.INT32
    np.testing.assert_array_equal(
        np.array(model.buffers[kernel.buffer].data).view(np.int8).reshape(3, 4), constants["kernel"].T
    )
    assert list(codes.shape) == [5, 4] and codes.quantization.zeroPoint == [127 - 15]
    assert codes.quantization.scale == [np.float32(0.5)]


def test_constants_are_aligned_and_shared():
    graph = residual_network(0)
    model = read(write_tflite(graph))
    contents = [bytes(buffer.data) for buffer in model.buffers if buffer.data is not None]
    assert len(contents) == len(set(contents))
    content = write_tflite(graph)
    assert all(content.index(each) % 16 == 0 for each in contents if len(each) > 64)
    twice = IntegerGraph(
        "twice",
        (
            IntegerOperation("quantize", "quantize", ("x",), "q"),
            IntegerOperation("left", "average_pool", ("q",), "a", {"pool_size": (2, 2)}),
            IntegerOperation("right", "average_pool", ("q",), "b", {"pool_size": (2, 2)}),
            IntegerOperation("sum", "add", ("a", "b"), "s"),
            IntegerOperation("out", "dequantize", ("s",), "y"),
        ),
        {
            "x": IntegerTensor("x", (None, 4, 4, 8), None),
            "q": IntegerTensor("q", (None, 4, 4, 8), BYTE),
            **{name: IntegerTensor(name, (None, 2, 2, 8), BYTE) for name in "abs"},
            "y": IntegerTensor("y", (None, 2, 2, 8), None),
        },
        ("x",),
        ("y",),
        ("y",),
    )
    names = [tensor.name for tensor in read(write_tflite(twice)).subgraphs[0].tensors]
    assert names.count(b"left/kernel") == 1 and b"right/kernel" not in names


def test_same_graph_gives_the_same_bytes():
    assert write_tflite(residual_network(1)) == write_tflite(residual_network(1))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (dense_graph(kernel=np.full((4, 3), -128, np.int8)), "-127 to 127"),
        (dense_graph(kernel=np.zeros((4, 3), np.int32)), "int8"),
        (dense_graph(kernel=np.zeros((5, 3), np.int8)), r"\[4, units\]"),
        (dense_graph(bias=np.zeros(3, np.int64)), "int32"),
        (dense_graph(kernel_scale=np.full(2, 0.1, np.float32)), "kernel_scale"),
        (dense_graph(kernel_scale=np.full(3, 200, np.float32)), "below 256"),
        (dense_graph(bias=np.full(3, -(2**30), np.int32), kernel_scale=np.full(3, 4, np.float32)), "overflows"),
        (dense_graph(kernel_scale=np.zeros(3, np.float32)), "positive"),
        (dense_graph(kernel_scale=np.full(3, 1e-40, np.float32)), "from 1.18e-38"),
        (one_operation("max_pool", [(4, 4, 1)], [GRID], (2, 2, 1), BYTE, attributes={"pool_size": (2, 2)}), "share"),
        (one_operation("concatenate", [(4,), (4,)], [GRID, BYTE], (8,), GRID), "Requantize"),
        (one_operation("softmax", [(4,)], [GRID], (4,), BYTE), "softmax"),
        (one_operation("add", [(4,), (4,)], [GRID, Grid(0.5 * 2**-11, 0, 255)], (4,), GRID), "from 0.000977 to"),
        (one_operation("add", [(4,), (3,)], [GRID, GRID], (4,), GRID), "equal or 1"),
        (one_operation("subtract", [(4,), (4,)], [GRID, Grid(150, 0, 1)], (4,), GRID), "`subtract`.*256"),
        (one_operation("multiply", [(4,), (4, 4)], [GRID, GRID], (4, 4), GRID), "Reshape"),
        (one_operation("multiply", [(4,), (4,)], [GRID, GRID], (4,), Grid(2.0**-11, 0, 1)), "below 256"),
        (activation_graph("swish", GRID), "'swish'.*Compose"),
        (activation_graph("sigmoid", GRID), "sigmoid writes"),
        (activation_graph("leaky_relu", GRID, negative_slope=0.001), "ReLU"),
        (activation_graph("leaky_relu", GRID, negative_slope=-128), "127.996"),
        (transposed_graph(np.zeros((2, 2, 2, 4), np.int8)), r"height and width \(4, 4\)\. Received: \(3, 3\)"),
        (transposed_graph(np.zeros((2, 2, 4, 3), np.int8)), r"\[height, width, filters, 4\]"),
        (one_operation("slice", [(4,)], [GRID], (3,), GRID, attributes={"begin": (2,), "size": (3,)}), "within"),
        (one_operation("slice", [(4, 4)], [GRID], (3,), GRID, attributes={"begin": (2,), "size": (3,)}), "within"),
        (one_operation("transpose", [(4, 5)], [GRID], (5, 4), GRID, attributes={"permutation": (1, 0)}), "batch first"),
        (one_operation("resize", [(4, 4)], [GRID], (8, 4), GRID), "height and width"),
        (one_operation("resize", [(4, 4, 1)], [GRID], (8, 8, 1), BYTE), "share"),
        (one_operation("reshape", [(4,)], [GRID], (5,), GRID), "reshape"),
        (one_operation("reshape", [(None, 4)], [GRID], (None, 2, 2), GRID), "fixed"),
        (one_operation("reshape", [(4,)], [Grid(0.5, 1, 15)], (4,), GRID), "Code 0"),
        (one_operation("mean", [(4, 4)], [GRID], (4,), GRID), "height"),
        (one_operation("pad", [(4, 4, 1)], [GRID], (5, 4, 1), GRID, attributes={"paddings": ((0, 1),)}), "paddings"),
        (
            one_operation(
                "max_pool", [(4, 4, 1)], [GRID], (4, 4, 1), GRID, attributes={"pool_size": (1, 1), "padding": "causal"}
            ),
            "causal",
        ),
    ],
)
def test_refuses_what_it_cannot_write_exactly(graph, message):
    with pytest.raises(ValueError, match=message):
        write_tflite(graph)


@pytest.mark.parametrize(
    "arguments", [{"batch_size": 0}, {"batch_size": True}, {"input_type": "int16"}, {"output_type": "double"}]
)
def test_refuses_bad_arguments(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        write_tflite(dense_graph(), **arguments)


def test_integer_input_with_two_grids_is_refused():
    graph = dense_graph()
    other = IntegerOperation("other", "quantize", ("input_0",), "coarse")
    tensors = {**graph.tensors, "coarse": IntegerTensor("coarse", (None, 4), BYTE)}
    graph = dataclasses.replace(graph, operations=(*graph.operations, other), tensors=tensors)
    assert Interpreter(write_tflite(graph)).batch_size == 1
    with pytest.raises(ValueError, match="float32"):
        write_tflite(graph, input_type="int8")


def test_operations_out_of_order_are_refused():
    graph = residual_network(0)
    graph = dataclasses.replace(graph, operations=graph.operations[::-1])
    with pytest.raises(ValueError, match="Sort"):
        write_tflite(graph)


def test_tensors_may_go_by_several_names():
    graph = dense_graph()
    again = (
        IntegerOperation("again", "quantize", ("input_0",), "same"),
        IntegerOperation("more", "dequantize", ("result",), "more"),
    )
    tensors = {
        "same": IntegerTensor("same", (None, 4), GRID),
        "more": IntegerTensor("more", (None, 3), None),
        **graph.tensors,
    }
    graph = dataclasses.replace(
        graph,
        operations=(*graph.operations, *again),
        tensors=tensors,
        outputs=("numbers", "more", "numbers"),
        output_names=("a", "b", "c"),
    )
    for dtype in ("float32", "int8", "uint8"):
        interpreter = Interpreter(write_tflite(graph, input_type=dtype, output_type=dtype))
        inputs = np.ones((2, 4), dtype)
        found = interpreter.run(inputs)
        np.testing.assert_array_equal(found["a"], found["b"])
        np.testing.assert_array_equal(found["a"], found["c"])
        codes = interpreter.codes(inputs)
        if dtype != "int8":  # where the input itself is both
            np.testing.assert_array_equal(codes["same"], codes["codes_0"])
