import csv
import io
import json

import pytest

from tfmp.graph import LayerShape
from tfmp.reports import BitSweep, HardwareComparison, SweepRow
from tfmp.simulator import simulate, sweep

NETWORK = [
    LayerShape("conv", "conv2d", (3, 3), in_channels=3, out_channels=8, output_size=(4, 4)),
    ("pool", "max_pooling2d"),
    LayerShape("dense", "dense", in_channels=32, out_channels=10),
]
BITS = {"conv": (4, 2), "dense": (8, 8)}
REPORTS = tuple(simulate(NETWORK, BITS, name, batch=2) for name in ("bit_fusion", "mpic"))


def test_machines_stand_side_by_side():
    comparison = HardwareComparison(REPORTS)
    title, header, *rows = str(comparison).splitlines()
    assert "simulated, batch 2" in title
    assert header.split() == ["layer", "bits", "W/A", "bit_fusion,", "nJ", "bit_fusion,", "simulated", "ms"] + [
        "mpic,",
        "nJ",
        "mpic,",
        "simulated",
        "ms",
    ]
    assert rows[1].split() == ["pool", "not", "modelled"] and rows[-1].startswith("total")
    for report in REPORTS:
        assert f"{report.total.energy_nj['total']:,.1f}" in rows[-1]


def test_json_and_csv_hold_all_reports(tmp_path):
    comparison = HardwareComparison(REPORTS)
    assert json.loads(comparison.to_json()) == json.loads(json.dumps([report.as_dict() for report in REPORTS]))
    rows = list(csv.DictReader(io.StringIO(comparison.to_csv(tmp_path / "machines.csv"))))
    assert [(row["hardware"], row["name"]) for row in rows] == [
        (report.hardware, layer.name) for report in REPORTS for layer in report.layers
    ]
    for row, layer in zip(rows, (layer for report in REPORTS for layer in report.layers), strict=True):
        if layer.modelled:
            parts = [float(row[f"{place}_energy_nj"]) for place in ("core", "buffers", "dram")]
            assert float(row["total_energy_nj"]) == layer.energy_nj["total"] == pytest.approx(sum(parts))
    assert rows[1]["total_energy_nj"] == ""
    with pytest.raises(FileExistsError):
        comparison.to_csv(tmp_path / "machines.csv")


def test_reports_that_cannot_be_compared():
    other = simulate(NETWORK, BITS | {"conv": (4, 4)}, "mpic", batch=2)
    for reports, message in (
        ((), "machines with different names. Received: none"),
        ((REPORTS[0], REPORTS[0]), "Received: bit_fusion, bit_fusion"),
        ((REPORTS[0], other), "the same layers at the same bits"),
    ):
        with pytest.raises(ValueError, match=message):
            HardwareComparison(reports)


def test_a_sweep_is_the_network_at_each_pair():
    result = sweep(NETWORK, [(8, 8), (2, 4)], ["bit_fusion", "mpic"], batch=2)
    assert [(row.hardware, row.bits) for row in result.rows] == [
        ("bit_fusion", "W8A8"),
        ("bit_fusion", "W2A4"),
        ("mpic", "W8A8"),
        ("mpic", "W2A4"),
    ]
    for row in result.rows:
        pair = row.weight_bits, row.activation_bits
        total = simulate(NETWORK, dict.fromkeys(BITS, pair), row.hardware, batch=2).total
        assert (row.energy_nj, row.total_cycles) == (total.energy_nj["total"], total.total_cycles)
        parts = row.core_energy_nj + row.buffers_energy_nj + row.dram_energy_nj
        assert parts == pytest.approx(row.energy_nj)
    title, header, *lines = str(result).splitlines()
    assert title == "simulated energy of a batch of 2, nJ" and header.split() == ["bits", "bit_fusion", "mpic"]
    assert [line.split()[0] for line in lines] == ["W8A8", "W2A4"]


def test_a_sweep_as_json_and_csv():
    result = BitSweep((SweepRow("mpic", 8, 8, 2e6, 0.0, 0.0, 2e6, 100, 1.0),), batch=1)
    (content,) = json.loads(result.to_json())
    assert (content["hardware"], content["energy_nj"], content["batch"]) == ("mpic", 2e6, 1)
    (row,) = csv.DictReader(io.StringIO(result.to_csv()))
    assert row == {key: str(value) for key, value in content.items()}
    with pytest.raises(TypeError, match="`hardware` must be a list of hardware"):
        sweep(NETWORK, [(8, 8)], "mpic")
    with pytest.raises(TypeError, match="`bits` must be a list of pairs"):
        sweep(NETWORK, 8, ["mpic"])
