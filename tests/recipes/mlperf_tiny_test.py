import dataclasses
import json

import numpy as np
import pytest

from recipes import experiment, mlperf_tiny, trained_tables

RNG = np.random.default_rng(0)


def test_the_area_is_the_share_of_pairs_that_are_ordered():
    inputs, outputs = RNG.normal(size=(40, 5)), RNG.normal(size=(40, 5))
    labels = RNG.integers(0, 3, 40)
    outputs[7] = outputs[8] = inputs[7] = inputs[8]  # errors that are equal count half
    labels[7:9] = 0, 1
    errors = np.mean((outputs - inputs) ** 2, axis=1)
    pairs = [(a > b) + 0.5 * (a == b) for a in errors[labels != 1] for b in errors[labels == 1]]
    assert mlperf_tiny.anomaly_auc(outputs, inputs, labels) == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("name", mlperf_tiny.TASKS)
def test_inputs_have_the_shape_of_the_network(name):
    task = mlperf_tiny.TASKS[name]
    shape = (32, 32, 3) if name in ("resnet8", "mobilenet_v1_vww") else (28, 28)
    images = RNG.integers(0, 256, (6, *shape), np.uint8)
    expected = {
        "resnet8": (32, 32, 3),
        "ds_cnn": (49, 10, 1),
        "mobilenet_v1_vww": (96, 96, 3),
        "dense_autoencoder": (640,),
    }
    assert task.inputs(images).shape == (6, *expected[name])
    x, y = next(iter(task.batches(images, np.arange(6), 4, seed=0)))
    assert x.shape == (4, *expected[name])
    assert y.shape == ((4,) if task.has_labels else x.shape)


def test_every_network_has_three_budgets_and_an_int8_file():
    runs = experiment.load_config("mlperf_tiny")["runs"]
    for name in mlperf_tiny.TASKS:
        of_network = [run for run in runs.values() if run["network"] == name]
        assert sum(run["method"] == "int8" for run in of_network) == 1
        for way in ("uniform", "ilp", "searched"):
            assert len({run["flash_kib"] for run in of_network if run["method"] == way}) == 3


def test_the_table_compares_ways_at_one_budget():
    def record(method, accuracy, **others):
        sizes = {"flash_bytes": 24000, "arena_bytes": 30000}
        return {"method": method, "seed": 0, "accuracy": accuracy, "float_accuracy": 0.9, **sizes, **others}

    counted = {"operators": 12, "operators_all_equal": 12}
    found = [
        record("ds_cnn-24k-32k-searched", 0.88, bits={"a": [8, 8], "b": [3, 8]}, **counted),
        record("ds_cnn-24k-32k-ilp", 0.87, bits={"a": [4, 8], "b": [3, 8]}, **counted),
        record("ds_cnn-24k-32k-uniform", 0.86, bits={"a": [3, 8], "b": [3, 8]}, **counted),
        record("ds_cnn-int8", 0.89),
    ]
    header, rows = trained_tables.mlperf_tiny({str(number): each for number, each in enumerate(found)})
    assert [row[:7] for row in rows] == [
        ["ds_cnn", "", "int8", "90.00", "89.00", "", ""],
        ["ds_cnn", "24k / 32k", "uniform", "90.00", "86.00", "", ""],
        ["ds_cnn", "24k / 32k", "ilp", "90.00", "87.00", "+1.00", "-2.00"],
        ["ds_cnn", "24k / 32k", "searched", "90.00", "88.00", "+2.00", "-1.00"],
    ]
    assert rows[3][7:] == ["24,000", "30,000", "12 of 12", "8 3"] and all(len(row) == len(header) for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ds_cnn", "dense_autoencoder"])
def test_runs_are_within_their_budgets(tmp_path, monkeypatch, name):
    pytest.importorskip("tflite_micro")
    sets = tuple((RNG.integers(0, 256, (n, 28, 28), np.uint8), np.arange(n) % 10) for n in (320, 40))
    monkeypatch.setattr(mlperf_tiny, "load_fashion_mnist", lambda: sets)
    task = mlperf_tiny.TASKS[name]
    load = task.load if name == "dense_autoencoder" else lambda: sets
    monkeypatch.setitem(mlperf_tiny.TASKS, name, dataclasses.replace(task, load=load))
    config = experiment.load_config("mlperf_tiny")
    runs = {key: run for key, run in config["runs"].items() if run["network"] == name}
    names = [key for key in runs if key.endswith("int8")] + list(runs)[-3:]  # the tightest budgets
    config["runs"] = {key: {**run, "epochs": 2, "search_epochs": 1, "float_epochs": 1} for key, run in runs.items()}
    settings = ["num_calibration=16", "batch_size=16"]
    folders = tmp_path / "work", tmp_path / "results"
    for method, run in experiment.plan(mlperf_tiny.METHODS, config, names=names, settings=settings, folders=folders):
        experiment.execute(method, run)
    records = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("*.json")]
    assert len(records) == 4
    for record in records:
        assert 0 <= record["accuracy"] <= 1 and record["arena_bytes"] > 0
        if "bits" in record:
            assert record["flash_bytes"] <= 1024 * record["config"]["flash_kib"]
            assert record["arena_bytes"] <= 1024 * record["config"]["ram_kib"]
            assert record["operators_all_equal"] == record["operators"] > 0
