"""Loading files, feeding batches, and errors about wrong files and arrays."""

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.tflite.random_graphs import one_operation, residual_network
from tfmp.graph.integer_graph import Grid
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

GRID = Grid(0.5, 0, 15)
IMAGES = np.random.default_rng(0).uniform(0, 1, (7, 9, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def content():
    return write_tflite(residual_network(2), batch_size=3)


def test_any_batch_through_a_fixed_one(content):
    interpreter = Interpreter(content)
    assert interpreter.batch_size == 3
    whole = interpreter.run(IMAGES)
    for count in (1, 2, 3, 4):
        part = interpreter.run({"image": IMAGES[:count]})
        for name in whole:
            np.testing.assert_array_equal(part[name], whole[name][:count])


def test_a_path_is_as_good_as_bytes(content, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    for source in (path, str(path)):
        np.testing.assert_array_equal(
            Interpreter(source, threads=2).run(IMAGES)["output_0"], Interpreter(content).run(IMAGES)["output_0"]
        )


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.tflite"):
        Interpreter(tmp_path / "nowhere.tflite")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5, 0.99, 0.9999])
def test_a_truncated_file(content, tmp_path, part):
    path = tmp_path / "model.tflite"
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(ValueError, match="complete TFLite file.*model.tflite"):
        Interpreter(path)


@pytest.mark.parametrize("foreign", [b"PK\x03\x04" + bytes(1000), b"no model\n", bytes(64)])
def test_a_foreign_file(foreign):
    with pytest.raises(ValueError, match="complete TFLite file"):
        Interpreter(foreign)


def test_a_file_without_signature(content):
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    model.signatureDefs = []
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    with pytest.raises(ValueError, match="serving_default"):
        Interpreter(bytes(builder.Output()))


@pytest.mark.parametrize(
    "inputs", [IMAGES[:, :4], IMAGES[0], IMAGES[:0], {"picture": IMAGES}, {"image": IMAGES, "more": IMAGES}]
)
def test_arrays_that_do_not_fit(content, inputs):
    with pytest.raises(ValueError, match="Received"):
        Interpreter(content).run(inputs)


def test_several_inputs_go_by_name():
    interpreter = Interpreter(write_tflite(one_operation("add", [(2,), (2,)], [GRID, GRID], (2,), GRID)))
    ones = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(interpreter.run({"input_0": ones, "input_1": 2 * ones})["answer"], 3 * ones)
    with pytest.raises(ValueError, match="by name"):
        interpreter.run(ones)
    with pytest.raises(ValueError, match="as many"):
        interpreter.run({"input_0": ones, "input_1": ones[:1]})


def test_numbers_where_codes_are_due():
    interpreter = Interpreter(write_tflite(residual_network(2), input_type="uint8"))
    with pytest.raises(ValueError, match="uint8 codes"):
        interpreter.run(IMAGES)


def test_codes_are_those_that_lead_to_the_outputs(content):
    interpreter = Interpreter(content)
    graph, codes, outputs = residual_network(2), interpreter.codes(IMAGES), interpreter.run(IMAGES)
    assert codes.keys() == interpreter.readable_tensors.keys()
    for operation in graph.operations:
        if operation.kind == "dequantize":
            name = graph.output_names[graph.outputs.index(operation.output)]
            scale = np.float32(graph.tensors[operation.inputs[0]].grid.scale)
            np.testing.assert_array_equal(codes[operation.inputs[0]].astype(np.float32) * scale, outputs[name])
