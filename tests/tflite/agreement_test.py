"""Agreement of a file with its network is measured correctly, operator by operator and from end to end."""

import dataclasses

import numpy as np
import pytest

from tests.tflite import integer_reference
from tests.tflite.random_graphs import residual_network
from tfmp.bindings.framework import framework_named
from tfmp.reports import FileTensor
from tfmp.tflite import agreement
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

IMAGES = np.random.default_rng(0).uniform(0, 1, (5, 9, 8, 3)).astype(np.float32)
FIELDS = {"operators", "folded", "trained", "outside_xnnpack"}


@pytest.fixture(scope="module")
def graph():
    return residual_network(0)


@pytest.fixture(scope="module")
def folded(graph):
    return framework_named("keras").write_integer(graph)


def compare(graph, folded, content, samples=({"image": IMAGES},)):
    """The file beside the folded model, and beside what stands for a trained one: twice the folded model's outputs."""

    def trained(image):
        outputs = folded(image)
        return [2 * np.asarray(outputs[name]) for name in graph.output_names]

    return agreement.integer_agreement(
        graph,
        folded,
        Interpreter(content),
        samples,
        models={"trained": trained},
        decisions=dict.fromkeys(graph.output_names, "largest"),
    )


def with_constants(graph, kind, change):
    """The graph with the constants of its first operation of a kind changed, and that operation."""
    first = next(operation for operation in graph.operations if operation.kind == kind)
    changed = dataclasses.replace(first, constants={**first.constants, **change(first.constants)})
    operations = tuple(changed if each is first else each for each in graph.operations)
    return dataclasses.replace(graph, operations=operations), first


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_every_operator_that_writes_codes_is_compared(graph, folded, dtype, batch_size):
    content = write_tflite(graph, batch_size=batch_size, input_type=dtype, output_type=dtype)
    found = compare(graph, folded, content)
    assert found.keys() == FIELDS
    expected = [operation for operation in graph.operations if operation.kind != "dequantize"]
    assert [(each.name, each.kind) for each in found["operators"]] == [(each.output, each.kind) for each in expected]
    assert all(each.equal_share == 1 for each in found["operators"] if each.kind != "softmax")
    assert found["folded"].top1_agreement == found["trained"].top1_agreement == 1
    assert found["folded"].signal_to_noise_db > 40 and found["folded"].num_samples == len(IMAGES)
    assert found["trained"].signal_to_noise_db == pytest.approx(20 * np.log10(2), abs=0.1)
    passages = {"QUANTIZE"} if dtype == "uint8" else set()
    assert {kind for kind, _ in found["outside_xnnpack"]} == {"SOFTMAX", "AVERAGE_POOL_2D", *passages}


def test_a_difference_counts_where_it_is_made_and_only_there(graph, folded):
    other, changed = with_constants(graph, "conv2d", lambda constants: {"bias": constants["bias"] + 30_000})
    found = compare(graph, folded, write_tflite(other))
    given = {name: codes for name, codes in integer_reference.run(other, {"image": IMAGES}).items()}
    difference = np.abs(
        given[changed.output] - integer_reference.compute(graph, changed, [given[name] for name in changed.inputs])
    )
    for each in found["operators"]:
        if each.name == changed.output:
            assert each.largest_difference == difference.max() > 1
            assert each.equal_share == pytest.approx((difference == 0).mean()) and each.equal_share < 1
        elif each.kind != "softmax":
            assert each.equal_share == 1
    ends = integer_reference.run(graph, {"image": IMAGES}), given
    for output, name in zip(found["folded"].outputs, graph.outputs, strict=True):
        expected, values = (np.asarray(end[name], np.float64) for end in ends)
        assert output.equal_share == pytest.approx(np.mean(expected == values))
        assert output.largest_difference == pytest.approx(np.abs(expected - values).max() / expected.std())
        ratio = np.sum(expected**2) / np.sum((expected - values) ** 2)
        assert output.signal_to_noise_db == pytest.approx(10 * np.log10(ratio))
        assert output.top1_agreement == np.mean(expected.argmax(-1) == values.argmax(-1))


def test_parts_make_the_whole(graph, folded, monkeypatch):
    content = write_tflite(with_constants(graph, "dense", lambda constants: {"bias": constants["bias"] + 99})[0])
    whole = compare(graph, folded, content)
    batches = [{"image": IMAGES[:2]}, {"image": IMAGES[2:]}]
    for size in (agreement._LARGEST_CHUNK, 1):
        monkeypatch.setattr(agreement, "_LARGEST_CHUNK", size)
        parts = compare(graph, folded, content, batches)
        assert parts["operators"] == whole["operators"] and whole["folded"].equal_share < 1
        for model in ("folded", "trained"):
            assert parts[model].num_samples == len(IMAGES)
            for part, output in zip(parts[model].outputs, whole[model].outputs, strict=True):
                assert dataclasses.asdict(part) == pytest.approx(dataclasses.asdict(output))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda graph: {"output_names": ("a", "b")}, "outputs are output_0, output_1, not a, b"),
        (lambda graph: {"tensors": rescaled(graph)}, "whose tensor `conv2d_1` has the scale"),
        (lambda graph: {"tensors": reshaped(graph)}, "whose tensor `conv2d_1` has the shape .1, 9, 8, 8., not"),
        (lambda graph: {"operations": renamed(graph), "tensors": more(graph)}, "which has no tensor `other`"),
    ],
    ids=["names", "scales", "shapes", "tensors"],
)
def test_files_of_other_networks(change, message, graph, folded):
    interpreter = Interpreter(write_tflite(graph))
    other = dataclasses.replace(graph, **change(graph))
    with pytest.raises(ValueError, match=message + ".*export again"):
        agreement.integer_agreement(other, folded, interpreter, [{"image": IMAGES}], models={}, decisions={})


def rescaled(graph):
    tensor = graph.tensors["conv2d_1"]
    grid = dataclasses.replace(tensor.grid, scale=tensor.grid.scale * 1.01)
    return {**graph.tensors, "conv2d_1": dataclasses.replace(tensor, grid=grid)}


def reshaped(graph):
    return {**graph.tensors, "conv2d_1": dataclasses.replace(graph.tensors["conv2d_1"], shape=(None, 9, 8, 7))}


def renamed(graph):
    return (*graph.operations, dataclasses.replace(graph.operations[1], name="other", output="other"))


def more(graph):
    return {**graph.tensors, "other": graph.tensors[graph.operations[1].output]}


class Echo:
    """Stands for a file whose output is its input."""

    def __init__(self, width):
        self.batch_size, self.label = 2, "echo.tflite"
        self.inputs, self.outputs = {"x": FileTensor((2, width), "float32")}, {"y": FileTensor((2, width), "float32")}

    def run(self, inputs):
        return {"y": inputs["x"]}

    def operators_outside_xnnpack(self):
        return [("GELU", "y")]


@pytest.mark.parametrize("at_a_time", [1, 100])
def test_floating_point(at_a_time, monkeypatch):
    monkeypatch.setattr(agreement, "_SAMPLES", at_a_time)
    rows = np.array([[1, 2, 3], [4, 5, 600], [7, 8, 9], [3, 2, 1]], np.float32)

    def found(**models):
        return agreement.float_agreement(
            ["x"], ["y"], Echo(3), [{"x": rows[:3]}, {"x": rows[3:]}], models=models, decisions={"y": "largest"}
        )

    fields = found(trained=lambda x: [x], reference=lambda x: [x * np.array([1, 1, -1], np.float32)])
    assert fields["trained"].equal_share == fields["trained"].top1_agreement == 1
    assert fields["reference"].equal_share == pytest.approx(8 / 12) and fields["reference"].top1_agreement == 0.25
    assert fields["reference"].num_samples == 4 and fields["outside_xnnpack"] == (("GELU", "y"),)
    assert found(trained=lambda x: [x]).keys() == {"trained", "outside_xnnpack"}


def test_files_of_other_ends():
    with pytest.raises(ValueError, match="echo.tflite, whose outputs are y, not z.*export again"):
        agreement.float_agreement(["x"], ["z"], Echo(2), [{"x": np.ones((1, 2))}], models={}, decisions={})
