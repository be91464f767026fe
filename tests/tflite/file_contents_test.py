"""The report of a file agrees with its content."""

import dataclasses
import pathlib

import pytest

import tfmp
from tests.tflite.random_graphs import residual_network
from tfmp.graph.targets import LITERT
from tfmp.tflite.file_contents import file_contents
from tfmp.tflite.file_metadata import with_own_metadata
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.packing import with_metadata
from tfmp.tflite.writer.write_tflite import write_tflite

GRAPH = residual_network(0)
GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden" / "files"
BITS = {"conv2d_1": (4, 8), "dense_11": (8, 8)}


@pytest.fixture(scope="module")
def content():
    plain = write_tflite(GRAPH, batch_size=2, input_type="uint8")
    return with_own_metadata(Interpreter(plain), target=LITERT, mode="fast", bits=BITS, labels=())


def test_contents_are_those_of_the_graph(content):
    file = file_contents(Interpreter(content), "some/model.tflite")
    assert (file.path, file.name, file.size_bytes) == ("some/model.tflite", "random_network", len(content))
    assert (file.mode, file.version, file.bits, file.labels) == ("fast", tfmp.__version__, BITS, ())
    assert file.inputs["image"].in_words == "uint8: value = (code - 0) * 0.00392156886"
    assert {name: tensor.shape for name, tensor in file.outputs.items()} == {"output_0": (2, 5), "output_1": (2, 5)}
    tensors = {tensor.name: tensor for tensor in file.tensors}
    for operation in GRAPH.operations:
        if not operation.constants:
            continue
        kernel, bias = tensors[f"{operation.name}/kernel"], tensors[f"{operation.name}/bias"]
        channels = operation.constants["bias"].size
        assert (kernel.role, kernel.type, kernel.size_bytes) == ("weights", "INT8", operation.constants["kernel"].size)
        assert (bias.role, bias.type, bias.size_bytes) == ("biases", "INT32", 4 * channels)
        assert bias.scale_bytes == 4 * channels and kernel.scale_bytes in (0, 4 * channels, 12 * channels)
        assert kernel.operator == bias.operator == operation.name
    assert [each.size_bytes + each.scale_bytes for each in file.tensors] == sorted(
        (each.size_bytes + each.scale_bytes for each in file.tensors), reverse=True
    )
    names = [operation.name for operation in GRAPH.operations if operation.constants]
    assert [layer.name for layer in file.layers] == [*BITS, *(name for name in names if name not in BITS)]
    for layer in file.layers:
        own = [each for each in file.tensors if each.operator == layer.name]
        assert layer.size_bytes == sum(each.size_bytes + each.scale_bytes for each in own) and layer.container == "INT8"
    sizes = file.bytes_by_role
    assert sum(sizes.values()) == len(content) and min(sizes.values()) >= 0


def test_operators_have_the_bytes_of_their_constants(content):
    file = file_contents(Interpreter(content), "m")
    operators = {operator.tensor: operator for operator in file.operators}
    assert len(operators) == len(file.operators)
    constants = sum(each.size_bytes + each.scale_bytes for each in file.tensors)
    assert sum(operator.size_bytes for operator in file.operators) == constants
    sizes = {layer.name: layer.size_bytes for layer in file.layers}
    owners = [operator for operator in file.operators if operator.layer]
    assert {operator.layer for operator in owners} == set(sizes)
    assert all(operator.computes == operator.layer and operator.size_bytes for operator in owners)
    assert {name for name, operator in operators.items() if name != operator.computes} == {
        name for name in operators if name.endswith("/unclipped")
    }


def test_operators_of_a_file_in_floating_point_unpack_their_kernels():
    file = tfmp.inspect(GOLDEN / "keras_branches.float.tflite")
    operators = {operator.layer: operator for operator in file.operators if operator.layer}
    assert operators.keys() == file.bits.keys()
    assert operators["stem"].tensor == "branches_1/stem_1/Relu" and operators["logits"].kind == "FULLY_CONNECTED"
    kernels = {each.operator: each.size_bytes for each in file.tensors if each.role == "weights"}
    assert all(operator.size_bytes >= kernels[layer] for layer, operator in operators.items())


def test_labels(content):
    one = write_tflite(classifier())
    labels = [f"class {i}" for i in range(5)]
    arguments = {"target": LITERT, "mode": "fast", "bits": {}, "labels": labels}
    file = file_contents(Interpreter(with_own_metadata(Interpreter(one), **arguments)), "m")
    assert list(file.labels) == labels and file.metadata_bytes > sum(map(len, labels))
    with pytest.raises(ValueError, match="there must be one output. Received: 5 labels for outputs of shape"):
        with_own_metadata(Interpreter(content), **arguments)


def classifier():
    """The network without its second output."""
    return dataclasses.replace(GRAPH, outputs=GRAPH.outputs[:1], output_names=GRAPH.output_names[:1])


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "model.tflite', which has no metadata of tfmp. Export the model with tfmp"),
        ({"other": b"{}"}, "no metadata of tfmp"),
        ({"tfmp": b"{}"}, "metadata that tfmp can read .* Received: without bits, mode, tfmp"),
        ({"tfmp": b"words"}, "metadata that tfmp can read"),
        ({"tfmp": b"3"}, "metadata that tfmp can read"),
    ],
)
def test_foreign_files(metadata, message, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(with_metadata(write_tflite(GRAPH), metadata))
    with pytest.raises(ValueError, match=message):
        tfmp.inspect(path)


def test_files_that_are_none(content, tmp_path):
    path = tmp_path / "model.tflite"
    with pytest.raises(FileNotFoundError, match="model.tflite"):
        tfmp.inspect(str(path))
    for part in (content[: len(content) // 2], b"PK\x03\x04" + bytes(100), b""):
        path.write_bytes(part)
        with pytest.raises(ValueError, match="complete TFLite file.*copy or export it again"):
            tfmp.inspect(path)


def test_path_or_model(content, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    assert tfmp.inspect(path) == tfmp.inspect(str(path)) == file_contents(Interpreter(content), path)
