import json
import pathlib
import re

import pytest

from recipes import results_table

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_rows_hold_what_the_runs_say(tmp_path):
    runs = [
        {"method": "mixed", "seed": 0, "accuracy": 0.75, "bitops": 99e6, "bits": {"a": [2, 3], "b": [1, 4]}},
        {"method": "uniform", "seed": 0, "accuracy": 0.7, "bitops": 100e6},
        {"method": "float", "seed": 0, "accuracy": 0.8},
    ]
    for run in runs:
        (tmp_path / f"{run['method']}-seed0.json").write_text(json.dumps(run))
    rows = results_table.table(tmp_path).splitlines()[2:]
    assert rows == [
        "| float | 0 | 80.00 |  |  |  |",
        "| uniform | 0 | 70.00 | 100.00 | 100.0% |  |",
        "| mixed | 0 | 75.00 | 99.00 | 99.0% | 2/3 1/4 |",
    ]


def test_readme_shows_the_committed_runs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tables = re.findall(r"<!-- table: (\w+) -->\n(.*?)<!-- end of table -->", text, re.DOTALL)
    if not tables:
        pytest.fail("README.md has no table of results")
    for name, shown in tables:
        assert shown == results_table.table(ROOT / "recipes" / "results" / name)
