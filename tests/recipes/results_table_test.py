import json
import re

import pytest

from recipes import results_table


def test_rows_hold_what_the_runs_say(tmp_path):
    runs = [
        {"method": "mixed", "seed": 0, "accuracy": 0.75, "bitops": 99e6, "bits": {"a": [2, 3], "b": [1, 4]}},
        {"method": "uniform", "seed": 0, "accuracy": 0.7, "bitops": 100e6},
        {"method": "float", "seed": 0, "accuracy": 0.8},
    ]
    folder = tmp_path / "resnet8_cifar10"
    folder.mkdir()
    for run in runs:
        (folder / f"{run['method']}-seed0.json").write_text(json.dumps(run))
    rows = results_table.table(folder).splitlines()[2:]
    assert rows == [
        "| float | 0 | 80.00 |  |  |  |",
        "| uniform | 0 | 70.00 | 100.00 | 100.0% |  |",
        "| mixed | 0 | 75.00 | 99.00 | 99.0% | 2/3 1/4 |",
    ]


def test_rows_without_training(tmp_path):
    folder = tmp_path / "without_training"
    folder.mkdir()
    accuracy = {"start": 0.5, "normalization": 0.6, "post_training": 0.7}
    run = {
        "network": "digits",
        "seed": 1,
        "uniform_bits": 3,
        "float_accuracy": 0.9,
        "accuracy": accuracy,
        "bitops": 2e6,
    }
    for kind, bits in (("sensitivity", [2, 4]), ("uniform", [3, 3])):
        record = {**run, "kind": kind, "bits": {"a": bits, "b": [3, 3]}}
        (folder / f"digits-3-{kind}-seed1.json").write_text(json.dumps(record))
    assert results_table.table(folder).splitlines()[2:] == [
        "| digits | 1 | W3A3 | uniform | 2.00 | 90.00 | 50.00 | 60.00 | 70.00 | 3/3 3/3 |",
        "| digits | 1 | W3A3 | sensitivity | 2.00 | 90.00 | 50.00 | 60.00 | 70.00 | 2/4 3/3 |",
    ]


@pytest.mark.parametrize("path", results_table.pages(), ids=lambda path: path.name)
def test_pages_show_the_committed_runs(path):
    text = path.read_text(encoding="utf-8")
    assert results_table.with_tables(text) == text


def test_readme_has_a_table():
    assert re.search(r"<!-- table: \w+ -->", (results_table.ROOT / "README.md").read_text(encoding="utf-8"))
