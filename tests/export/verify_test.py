"""Agreement of a file with its network is counted right, operator by operator and from end to end."""

import dataclasses

import numpy as np
import pytest

from tests.export import integer_reference
from tests.export.random_graphs import residual_network
from tfmp.bindings.keras3.integer_graph import write_integer
from tfmp.export import verify
from tfmp.export.flatbuffer.write_tflite import write_tflite
from tfmp.export.interpreter import Interpreter

IMAGES = np.random.default_rng(0).uniform(0, 1, (5, 9, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def graph():
    return residual_network(0)


@pytest.fixture(scope="module")
def folded(graph):
    return write_integer(graph)


@pytest.fixture(scope="module")
def tensors(graph):
    """The codes of the file and the images it was given."""
    return {**Interpreter(write_tflite(graph)).codes(IMAGES), "image": IMAGES}


def test_every_operator_that_writes_codes_is_compared(graph, folded, tensors):
    found = verify.operator_agreement(graph, folded, tensors)
    expected = [operation for operation in graph.operations if operation.kind != "dequantize"]
    assert [(each.name, each.kind) for each in found] == [(each.output, each.kind) for each in expected]
    assert all(each.equal_share == 1 and each.largest_difference == 0 for each in found if each.kind != "softmax")


def test_a_difference_counts_where_it_is_made_and_only_there(graph, folded, tensors):
    changed = next(operation for operation in graph.operations if operation.kind == "conv2d")
    codes = tensors[changed.output].copy()
    codes[2, 1, :2] += 3
    after = {**tensors, changed.output: codes}
    for operation in graph.operations:  # the file's own codes, from there on
        if changed.output in operation.inputs and operation.kind != "dequantize":
            inputs = [after[name] for name in operation.inputs]
            after[operation.output] = integer_reference.compute(graph, operation, inputs)
    readers = {operation.output for operation in graph.operations if changed.output in operation.inputs}
    found = {each.name: each for each in verify.operator_agreement(graph, folded, after)}
    assert found[changed.output].largest_difference == 3
    assert found[changed.output].equal_share == pytest.approx(1 - 2 * codes.shape[-1] / codes.size)
    assert all(found[name].equal_share == 1 for name in readers)


def test_from_end_to_end(graph, folded):
    content = write_tflite(graph)
    equal_share, largest, top1 = verify.end_to_end(graph, folded, content, {"image": IMAGES})
    assert (equal_share, top1) == (1, 1) and largest <= 1 / 256
    (dense,) = (operation for operation in graph.operations if operation.kind == "dense")
    flipped = {**dense.constants, "kernel": -dense.constants["kernel"]}
    operations = tuple(
        dataclasses.replace(each, constants=flipped) if each is dense else each for each in graph.operations
    )
    other = write_tflite(dataclasses.replace(graph, operations=operations))
    outputs = Interpreter(content).run(IMAGES), Interpreter(other).run(IMAGES)
    equal_share, largest, top1 = verify.end_to_end(graph, folded, other, {"image": IMAGES})
    pairs = [[each[name] for each in outputs] for name in graph.output_names]
    assert equal_share == pytest.approx(np.mean(np.concatenate([(a == b).ravel() for a, b in pairs])))
    assert largest == pytest.approx(max(np.abs(a - b).max() for a, b in pairs))
    assert top1 == pytest.approx(np.mean(np.concatenate([a.argmax(-1) == b.argmax(-1) for a, b in pairs])))
    assert top1 < 1


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("LARGEST_DIFFERENCE", -1, "Operator `quantize_0` .quantize. of the file differs"),
        ("SMALLEST_EQUAL_SHARE", 1.01, "100.00% of its codes are equal, the largest difference is 0"),
        ("SMALLEST_TOP1_AGREEMENT", 1.01, "agree on the class of 100.00% of the samples"),
    ],
)
def test_limits(limit, value, message, graph, folded, monkeypatch):
    content = write_tflite(graph)
    fields = verify.verified(graph, folded, content, content, IMAGES)
    assert set(fields) == {"operators", "equal_share", "largest_difference", "top1_agreement", "outside_xnnpack"}
    assert {kind for kind, _ in fields["outside_xnnpack"]} == {"SOFTMAX", "AVERAGE_POOL_2D"}
    monkeypatch.setattr(verify, limit, value)
    with pytest.raises(ValueError, match=message):
        verify.verified(graph, folded, content, content, IMAGES)
