"""Files that were damaged give an error or an answer; to inspect one never ends the process."""

import hypothesis
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import strategies as st

import tfmp
from tests import golden_files
from tfmp.tflite.checked_model import checked_model
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.packing import pack, unpack

CONTENTS = {path.stem: path.read_bytes() for path in sorted(golden_files.FOLDER.glob("*.tflite"))}
NAMES = ("keras_plain.small", "keras_residual.fast", "keras_several.fast", "keras_nested.float")


def survive(content, target):
    """Inspects a damaged file, which is read, or refused with an error that says so."""
    target.write_bytes(content)
    try:
        str(tfmp.inspect(target))
    except ValueError as error:
        assert "Received" in str(error) or "Expected" in str(error), error


def damaged(content, way, rng):
    """A file that ends early, or has other bytes here and there, zeros in a row, a wrong number or more bytes."""
    array = np.frombuffer(content, np.uint8).copy()
    start = rng.integers(0, len(array) - 4)
    if way == "cut":
        return content[:start]
    if way == "longer":
        return content + rng.bytes(100)
    if way == "bytes":
        places = rng.integers(0, len(array), rng.integers(1, 16))
        array[places] = rng.integers(0, 256, len(places))
    elif way == "zeros":
        array[start : start + rng.integers(1, 64)] = 0
    else:
        array[start : start + 4] = np.array(rng.integers(-3, 40), "<i4").reshape(1).view(np.uint8)
    return array.tobytes()


WAYS = ("cut", "longer", "bytes", "zeros", "number")


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_errors_or_read(name, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(20):
        survive(damaged(CONTENTS[name], WAYS[number % len(WAYS)], rng), tmp_path / "damaged.tflite")


@pytest.mark.slow
@hypothesis.settings(max_examples=3000, deadline=None)
@hypothesis.given(st.sampled_from(sorted(CONTENTS)), st.sampled_from(WAYS), st.integers(0, 2**32 - 1))
def test_any_damage_to_any_file(tmp_path_factory, name, way, seed):
    path = tmp_path_factory.getbasetemp() / "damaged.tflite"
    survive(damaged(CONTENTS[name], way, np.random.default_rng(seed)), path)


@pytest.mark.parametrize("name", CONTENTS)
def test_whole_files_are_accepted(name):
    assert checked_model(CONTENTS[name], name).version == 3


def _first(model, kind):
    codes = [code.builtinCode for code in model.operatorCodes]
    number = codes.index(getattr(schema.BuiltinOperator, kind))
    return next(operator for operator in model.subgraphs[0].operators if operator.opcodeIndex == number)


def _written(model, kind="ADD"):
    return model.subgraphs[0].tensors[_first(model, kind).outputs[0]]


def _kernel(model):
    return model.subgraphs[0].tensors[_first(model, "CONV_2D").inputs[1]]


def loses_its_scale(model):
    """The damage that the runtime answers by ending the process: an addition whose result is no code."""
    tensor = _written(model)
    tensor.type, tensor.shape, tensor.quantization = schema.TensorType.FLOAT32, None, None


def has_a_scale_of_zero(model):
    _written(model).quantization.scale = np.zeros(1, np.float32)


def has_a_scale_that_is_no_number(model):
    _written(model).quantization.scale = np.array([np.nan], np.float32)


def has_a_tiny_scale(model):
    _written(model).quantization.scale = np.array([1e-30], np.float32)


def has_a_zero_point_beyond_its_type(model):
    _written(model).quantization.zeroPoint = np.array([200], np.int64)


def has_too_many_scales(model):
    quantization = _kernel(model).quantization
    quantization.scale, quantization.zeroPoint = np.ones(99, np.float32), None


def has_too_many_zero_points(model):
    _kernel(model).quantization.zeroPoint = np.zeros(99, np.int64)


def has_too_little_content(model):
    buffer = model.buffers[_kernel(model).buffer]
    buffer.data = buffer.data[:-1]


def has_a_negative_size(model):
    _written(model).shape = np.array([1, -8, 8, 8], np.int32)


def is_of_no_type(model):
    _written(model).type = 99


def is_in_no_buffer(model):
    _written(model).buffer = 999


def has_its_metadata_in_no_buffer(model):
    model.metadata[0].buffer = 999


def moves_by_zero(model):
    _first(model, "CONV_2D").builtinOptions.strideW = 0


def has_options_of_another(model):
    operator = _first(model, "CONV_2D")
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()


def reads_what_does_not_exist(model):
    _first(model, "ADD").inputs = np.array([0, 999], np.int32)


def reads_one_tensor(model):
    _first(model, "ADD").inputs = np.array([0], np.int32)


def writes_nothing(model):
    _first(model, "CONV_2D").outputs = None


def is_an_operator_of_no_kind(model):
    model.operatorCodes[0].builtinCode = 9999


def has_an_operator_of_no_kind(model):
    _first(model, "ADD").opcodeIndex = 99


def starts_nowhere(model):
    model.subgraphs[0].inputs = np.array([999], np.int32)


def names_a_tensor_that_does_not_exist(model):
    model.signatureDefs[0].outputs[0].tensorIndex = 999


def has_no_subgraph(model):
    model.subgraphs, model.signatureDefs = [], []


FAULTS = {
    loses_its_scale: "ADD, has inputs and outputs of unequal types: .'INT8', 'INT8', 'FLOAT32'.",
    has_a_scale_of_zero: "a scale that is not a positive number",
    has_a_scale_that_is_no_number: "a scale that is not a positive number",
    has_a_tiny_scale: "an input whose scale is far larger than that of its output",
    has_a_zero_point_beyond_its_type: "a zero point that its type does not hold",
    has_too_many_scales: "99 scales for the shape",
    has_too_many_zero_points: "scales and 99 zero points",
    has_too_little_content: r"has \d+ bytes for its \d+",
    has_a_negative_size: r"the shape \(1, -8, 8, 8\)",
    is_of_no_type: "the unknown type 99",
    is_in_no_buffer: "the buffer 999 of",
    has_its_metadata_in_no_buffer: "its metadata are in no buffer",
    moves_by_zero: "an option below 1: .*'strideW': 0",
    has_options_of_another: "CONV_2D, has no options, or those of another operator",
    reads_what_does_not_exist: "reads or writes a tensor that does not exist",
    reads_one_tensor: "1 inputs and 1 outputs",
    writes_nothing: "CONV_2D, has no output",
    is_an_operator_of_no_kind: "an operator is of no known kind",
    has_an_operator_of_no_kind: r"operator \d+ is of no known kind",
    starts_nowhere: "an input or output of a subgraph is no tensor of it",
    names_a_tensor_that_does_not_exist: "a signature names a tensor that does not exist",
    has_no_subgraph: "it has no subgraph or no buffer",
}


@pytest.mark.parametrize("damage", FAULTS, ids=lambda damage: damage.__name__)
def test_what_is_wrong_is_said_before_the_runtime_sees_it(damage):
    model = unpack(CONTENTS["keras_residual.fast"])
    damage(model)
    with pytest.raises(ValueError, match=f"complete TFLite file.*copy or export it again.*{FAULTS[damage]}"):
        Interpreter(pack(model))
