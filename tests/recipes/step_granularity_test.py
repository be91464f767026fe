"""The recipe on a few images, and its table."""

import json

import pytest

from recipes import experiment, step_granularity, trained_tables


@pytest.mark.slow
@pytest.mark.usefixtures("small_float_network")
def test_both_granularities_are_trained(tmp_path):
    config = experiment.load_config("step_granularity")
    names = [f"mobilenet_v1-W3A8-{granularity}" for granularity in step_granularity.GRANULARITIES]
    folders, settings = (
        (tmp_path / "work", tmp_path / "results"),
        ["num_train=32", "num_calibration=16", "batch_size=16"],
    )
    for method, run in experiment.plan(
        step_granularity.METHODS, config, names=names, settings=settings, folders=folders
    ):
        experiment.execute(method, run)
    records = [json.loads(path.read_text()) for path in sorted((tmp_path / "results").glob("*.json"))]
    assert [record["granularity"] for record in records] == ["channel", "tensor"]
    assert all(0 <= record["accuracy"] <= 1 and record["num_test"] == 24 for record in records)


def test_the_table_has_differences_of_equal_seeds():
    def record(granularity, seed, start, end):
        found = {"network": "a", "bits": [3, 8], "granularity": granularity, "seed": seed}
        return found | {"start_accuracy": start, "accuracy": end}

    runs = [("tensor", 0, 0.1, 0.80), ("tensor", 1, 0.2, 0.82), ("channel", 0, 0.3, 0.81), ("channel", 1, 0.3, 0.85)]
    header, (row,) = trained_tables.step_granularity({str(n): record(*run) for n, run in enumerate(runs)})
    assert row[:5] == ["a", "W3A8", "0, 1", "15.00", "30.00"] and row[6:8] == ["81.00", "83.00"]
    # Two differences, 1 and 3: their standard error is 1, and the quantile of t with one degree of freedom 12.71.
    assert row[8] == "+2.00 ± 12.71" and len(header) == len(row)
