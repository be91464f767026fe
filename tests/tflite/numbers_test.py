"""Operations on numbers that are no codes: the file and the folded model compute what NumPy does."""

import numpy as np
import pytest

from tfmp.bindings.framework import framework_named
from tfmp.graph import IntegerGraph, IntegerOperation, IntegerTensor
from tfmp.graph.integer_graph import COMPARISONS
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

RNG = np.random.default_rng(0)
FLOATS = RNG.integers(-3, 4, (5, 3, 4)).astype(np.float32) * 0.75  # with ties
OTHERS = RNG.integers(-3, 4, (5, 3, 4)).astype(np.float32) * 0.75
LARGE = (2**24 + np.arange(-4, 4)).reshape(2, 4).astype(np.int32)  # neighbours that float32 does not tell apart
THRESHOLDS = [-0.75, 0.0, 0.75, 1.5]


def reference(kind, inputs, attributes, dtype):
    if kind in ("arg_max", "arg_min"):
        function = np.argmax if kind == "arg_max" else np.argmin
        return function(inputs[0], axis=attributes["axis"], keepdims=attributes["keepdims"])
    if kind == "cast":
        return np.trunc(inputs[0]).astype(dtype) if dtype != "bool" else inputs[0] != 0
    if kind.startswith("logical"):
        return getattr(np, kind)(*inputs)
    operand = np.asarray(attributes.get("operand", 0), inputs[0].dtype)
    first, second = (*inputs, operand)[:2]
    return getattr(np, kind)(*((second, first) if attributes.get("operand_first") else (first, second)))


CASES = [
    *(
        (kind, [FLOATS], {"axis": axis, "keepdims": keep}, dtype)
        for kind, axis, keep, dtype in (
            ("arg_max", 2, False, "int32"),
            ("arg_max", 1, True, "int64"),
            ("arg_min", 1, False, "int64"),
            ("arg_min", 2, True, "int32"),
        )
    ),
    *((kind, [FLOATS, OTHERS], {}, "bool") for kind in COMPARISONS),
    *((kind, [FLOATS], {"operand": 0.75, "operand_first": False}, "bool") for kind in COMPARISONS),
    ("greater", [FLOATS], {"operand": THRESHOLDS, "operand_first": True}, "bool"),
    ("greater", [LARGE], {"operand": 2**24, "operand_first": False}, "bool"),
    ("equal", [LARGE.astype("int64"), LARGE[::-1].astype("int64")], {}, "bool"),
    *((kind, [FLOATS > 0, OTHERS > 0], {}, "bool") for kind in ("logical_and", "logical_or")),
    ("logical_not", [FLOATS > 0], {}, "bool"),
    *(("cast", [FLOATS], {}, dtype) for dtype in ("int32", "int64", "int8", "bool")),
    ("cast", [np.abs(FLOATS) * 60], {}, "uint8"),
    *(("cast", [(FLOATS * 4).astype(dtype)], {}, "float32") for dtype in ("int32", "int64", "bool")),
]


@pytest.mark.parametrize(
    ("kind", "inputs", "attributes", "dtype"), CASES, ids=[f"{case[0]}-{case[3]}-{n}" for n, case in enumerate(CASES)]
)
def test_numbers(kind, inputs, attributes, dtype):
    expected = reference(kind, inputs, attributes, dtype)
    tensors = {
        f"x{n}": IntegerTensor(f"x{n}", (None, *value.shape[1:]), None, value.dtype.name)
        for n, value in enumerate(inputs)
    }
    operation = IntegerOperation("result", kind, tuple(tensors), "result", attributes)
    result = {"result": IntegerTensor("result", (None, *expected.shape[1:]), None, dtype)}
    graph = IntegerGraph("numbers", (operation,), {**tensors, **result}, tuple(tensors), ("result",), ("result",))
    given = dict(zip(tensors, inputs, strict=True))
    found = Interpreter(write_tflite(graph, batch_size=2)).run(given)["result"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)
    folded = framework_named("keras").write_integer(graph)
    assert folded.outputs[0].dtype == dtype
    np.testing.assert_array_equal(folded(inputs if len(inputs) > 1 else inputs[0]), expected)
