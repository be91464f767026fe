"""The tables of energy on the page on energy."""

import json

import pytest

from tfmp.simulator import preset_names
from tools import energy_table


def test_the_page_and_the_results_are_up_to_date():
    rows = json.loads(energy_table.RESULTS.read_text())
    page = energy_table.PAGE.read_text(encoding="utf-8")
    assert energy_table.table(rows) in page, "run `python tools/energy_table.py`"
    shown = {(row["network"], row["hardware"], row["weight_bits"], row["activation_bits"]) for row in rows}
    assert shown == {
        (network, machine, *pair)
        for network in energy_table.NETWORKS
        for machine in preset_names()
        for pair in energy_table.BITS
    }


def test_a_row_is_computed_again():
    rows = energy_table.measure(["resnet18"], energy_table.BATCH, ["mpic"])
    stored = [row for row in json.loads(energy_table.RESULTS.read_text()) if row["network"] == "resnet18"]
    for row in rows:
        (same,) = (each for each in stored if {**each, **_key(row)} == each)
        assert same["energy_nj"] == pytest.approx(row["energy_nj"])


def _key(row):
    return {name: row[name] for name in ("hardware", "weight_bits", "activation_bits")}
