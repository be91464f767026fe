"""Measurements and their records; no test depends on elapsed time."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp
from tests.tflite.micro_check import needs_micro_runtime
from tests.transform.small_networks import residual, trained
from tfmp.bindings.framework import framework_named, framework_of
from tfmp.costs.runtime_table import RuntimeTable
from tfmp.graph.targets import MICRO
from tfmp.lowering.weight_packing import encodings
from tfmp.tflite import measure_runtime as module
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.measure_runtime import measure_runtime
from tfmp.tflite.one_layer import one_layer_graph
from tfmp.tflite.writer.write_tflite import write_tflite


def small():
    return keras.Sequential([keras.Input((16,)), kl.Dense(64, activation="relu", name="a"), kl.Dense(3, name="b")])


def test_a_real_measurement_is_written_and_priced(tmp_path):
    path, model = tmp_path / "latency.json", residual()
    table = measure_runtime(model, path, runs=2)
    assert RuntimeTable.from_json(path).to_json() == table.to_json()
    assert table.conditions["threads"] == table.conditions["batch_size"] == 1 and table.date
    shapes = {layer.name: layer.shape for layer in framework_of(model).read(model).layers.values() if layer.shape}
    # `before_addition` has the shape of `inside`.
    assert {row.shape.name for row in table.rows} == set(shapes) - {"before_addition"}
    assert all(row.latency_us > 0 and row.quartiles_us[0] <= row.latency_us for row in table.rows)
    relaxed = tfmp.relax(model, weight_bits=(4, 8), activation_bits=(8,))
    cost = tfmp.costs.RuntimeLatency(path)
    bits = dict.fromkeys(tfmp.discretize(relaxed), (8, 8))
    whole = sum(table.latency_us(shape, 8) for shape in shapes.values()) + next(iter(table.overhead_us.values()))
    assert tfmp.cost(relaxed, cost, bits) == pytest.approx(whole)
    assert tfmp.discretize(relaxed, strategy="budget", budget=tfmp.Budget(cost, like_uniform=(8, 8)))


class Counting:
    """In place of the stopwatch: the size of a file is how long it takes."""

    measured = []

    def __init__(self, **_):
        pass

    def measure(self, files):
        Counting.measured += [Interpreter(content) for content in files.values()]
        return {key: (float(len(content)), (0.0, 0.0)) for key, content in files.items()}


@pytest.fixture
def counting(monkeypatch):
    monkeypatch.setattr(module, "Stopwatch", Counting)
    Counting.measured = []
    return Counting


@pytest.mark.usefixtures("counting")
def test_separable_convolutions_are_measured_as_the_two_that_run(tmp_path):
    layers = [kl.SeparableConv2D(6, 3, name="pair"), kl.Flatten(), kl.Dense(3, name="head")]
    model = keras.Sequential([keras.Input((5, 5, 4)), *layers])
    table = measure_runtime(model, tmp_path / "latency.json")
    assert [row.shape.name for row in table.rows if row.container_bits == 8] == ["pair_depthwise", "pair", "head"]
    relaxed = tfmp.relax(model, first_and_last="search")
    fixed = tfmp.fix(relaxed, dict.fromkeys(tfmp.discretize(relaxed), (8, 8)))
    whole = sum(row.latency_us for row in table.rows if row.container_bits == 8) + sum(table.overhead_us.values())
    assert tfmp.cost(fixed, tfmp.costs.RuntimeLatency(tmp_path / "latency.json")) == pytest.approx(whole)


def test_tables_grow_by_what_they_lack(counting, tmp_path, capsys):
    path = tmp_path / "latency.json"
    first = measure_runtime(small(), path, verbose=1)
    assert capsys.readouterr().out.count("\n") == 3
    num_files = len(counting.measured)
    assert num_files == len(first.rows) + 1
    small().save(tmp_path / "again.keras")
    assert measure_runtime(tmp_path / "again.keras", path).rows == first.rows
    assert len(counting.measured) == num_files, "nothing was missing"
    more = measure_runtime(keras.Sequential([keras.Input((16,)), kl.Dense(64, name="a"), kl.Dense(5, name="c")]), path)
    assert more.rows[: len(first.rows)] == first.rows and {row.shape.name for row in more.rows} == {"a", "b", "c"}
    assert len(more.overhead_us) == 2


def test_rows_of_other_conditions_do_not_mix(counting, tmp_path):
    path = tmp_path / "latency.json"
    table = measure_runtime(small(), path)
    with pytest.raises(ValueError, match="other conditions: threads 1 there, 2 now.*another file"):
        measure_runtime(small(), path, threads=2)
    dataclasses.replace(table, conditions={**table.conditions, "processor": "abacus"}).to_json(path, overwrite=True)
    with pytest.raises(ValueError, match="processor 'abacus' there"):
        measure_runtime(small(), path)


def test_a_run_that_breaks_off_keeps_what_it_has(counting, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    path = tmp_path / "latency.json"
    monkeypatch.setattr(module, "fold_graph", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure_runtime(small(), path)
    kept = RuntimeTable.from_json(path)
    assert {row.shape.name for row in kept.rows} == {"a", "b"} and not kept.overhead_us
    monkeypatch.undo()
    monkeypatch.setattr(module, "Stopwatch", Counting)
    assert measure_runtime(small(), path).rows == kept.rows


@pytest.mark.parametrize("kind", ["relaxed", "fixed"])
def test_quantized_models_are_measured_too(counting, tmp_path, kind):
    model = tfmp.relax(trained(residual()), weight_bits=(2, 4), activation_bits=(3,))
    if kind == "fixed":
        model = tfmp.fix(model, dict.fromkeys(tfmp.discretize(model), (4, 3)))
    before = [np.asarray(v) for v in model.variables]
    table = measure_runtime(model, tmp_path / "latency.json")
    assert len(table.overhead_us) == 1 and len(table.rows) >= 4
    assert all(np.array_equal(v, value) for v, value in zip(model.variables, before, strict=True))


def every_kind():
    x = image = keras.Input((9, 8, 6))
    x = kl.Conv2D(8, (3, 2), strides=2, padding="same", name="strided")(x)
    x = kl.Conv2D(8, 3, dilation_rate=2, padding="same", groups=2, name="grouped")(x)
    x = kl.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = kl.Conv2DTranspose(8, 2, strides=2, name="transposed")(x)
    x = kl.Reshape((24, 8), name="sequence")(x)
    x = kl.Conv1D(8, 3, padding="causal", dilation_rate=2, name="causal")(x)
    x = kl.Dense(16, name="positions")(x)
    return keras.Model(image, kl.Dense(16, name="head")(kl.Flatten(name="flatten")(x)))


def test_a_file_of_one_layer_is_what_the_exporter_makes_of_it():
    graph = framework_named("keras").read(every_kind(), weights=False)
    seen = {}
    for call in graph.calls:
        layer = graph.layer_of(call)
        if layer.shape is None:
            continue
        stored = encodings(layer.shape)
        seen[layer.name] = tuple(each.container_bits for each in stored)
        for each in stored:
            content = write_tflite(one_layer_graph(graph, call, each), input_type="int8", output_type="int8")
            interpreter = Interpreter(content)
            (output,) = interpreter.outputs.values()
            assert output.shape[1:][-1] == layer.shape.out_channels
            assert np.prod(output.shape) == layer.shape.num_outputs and output.dtype == "int8"
            assert not interpreter.operators_outside_xnnpack()
    assert list(seen) == ["strided", "grouped", "depthwise", "transposed", "causal", "positions", "head"]
    assert seen["head"] == (8, 4, 2) and seen["grouped"] == seen["depthwise"] == seen["transposed"] == (8,)


@needs_micro_runtime
def test_encodings_of_microcontrollers_are_measured_and_priced(tmp_path):
    layers = [kl.Conv2D(32, 3, name="conv"), kl.DepthwiseConv2D(3, name="depthwise"), kl.Flatten(), kl.Dense(8)]
    model = keras.Sequential([keras.Input((7, 7, 16)), *layers])
    path = tmp_path / "latency.json"
    table = measure_runtime(model, path, target="micro", runs=1)
    graph = framework_of(model).read(model, weights=False)
    for layer in graph.layers.values():
        if layer.shape is not None:
            rows = [row for row in table.rows if row.shape.name == layer.name]
            assert [(row.container_bits, row.index_bits) for row in rows] == [
                (each.container_bits, each.index_bits) for each in encodings(layer.shape, MICRO)
            ]
    (conv, *_) = (row.shape for row in table.rows)
    assert {(row.container_bits, row.index_bits) for row in table.rows if row.shape == conv} >= {(8, None), (4, None)}
    assert all(row.latency_us > 0 for row in table.rows) and "tflite_micro" in table.conditions
    relaxed = tfmp.relax(model, weight_bits=(3, 4, 8), activation_bits=(8,), first_and_last="search")
    cost = tfmp.costs.RuntimeLatency(path, target="micro")
    found = {bits: tfmp.cost(relaxed, cost, dict.fromkeys(tfmp.discretize(relaxed), (bits, 8))) for bits in (3, 8)}
    price = {row.index_bits: row.latency_us for row in table.rows if row.shape == conv and row.container_bits == 8}
    others = [row for row in table.rows if row.shape != conv]
    assert found[8] == pytest.approx(
        price[None]
        + sum(row.latency_us for row in others if (row.container_bits, row.index_bits) == (8, None))
        + sum(table.overhead_us.values())
    )
    assert found[3] - found[8] != 0 and 3 in price
    with pytest.raises(ValueError, match="other conditions"):
        measure_runtime(model, path, runs=1)
    with pytest.raises(ValueError, match="`threads`"):
        measure_runtime(model, tmp_path / "other.json", target="micro", threads=2)


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="`threads` must be a positive integer"):
        measure_runtime(small(), tmp_path / "latency.json", threads=0)
    with pytest.raises(ValueError, match="`runs` must be"):
        measure_runtime(small(), tmp_path / "latency.json", runs=0)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="Expected a table of latencies"):
        measure_runtime(small(), tmp_path / "other.json")
    free = keras.Sequential([keras.Input((None, 16)), kl.Dense(4)])
    with pytest.raises(ValueError, match="free sizes|not fixed"):
        measure_runtime(free, tmp_path / "latency.json")
