import csv
import io
import json

import pytest

from tfmp.reports.layer_report import LayerReport
from tfmp.reports.network_report import NetworkReport

MEMORIES = ("input_buffer", "weight_buffer", "output_buffer", "dram")
ENERGIES = ("total", "core", *MEMORIES)


def layer(name, cycles=10, energy_nj=7.5, **fields):
    return LayerReport(
        name,
        "conv2d",
        weight_bits=2,
        activation_bits=4,
        macs=1000,
        compute_cycles=cycles - 3,
        stall_cycles=3,
        total_cycles=cycles,
        reads_bits={memory: 5 for memory in MEMORIES},
        writes_bits={memory: 6 for memory in MEMORIES},
        energy_nj=dict.fromkeys(ENERGIES, 1.25) | {"total": energy_nj},
        latency_ms=cycles / 1000,
        schedule={"loop_order": ("batch", "width")},
        **fields,
    )


REPORT = NetworkReport(
    (layer("first"), LayerReport("pool", "max_pooling2d", modelled=False), layer("second", 20, 0.1, depthwise="dense")),
    hardware="bit_fusion",
    batch=4,
)


def test_total_sums_the_modelled_layers():
    total = REPORT.total
    assert (total.name, total.kind, total.weight_bits) == ("total", "network", None)
    assert (total.macs, total.compute_cycles, total.stall_cycles, total.total_cycles) == (2000, 24, 6, 30)
    assert total.reads_bits == dict.fromkeys(MEMORIES, 10)
    assert total.writes_bits == dict.fromkeys(MEMORIES, 12)
    assert total.energy_nj["total"] == pytest.approx(7.6) and total.energy_nj["core"] == 2.5
    assert total.latency_ms == pytest.approx(0.03)
    assert REPORT.not_modelled == ("pool",)


def test_json_holds_everything():
    content = json.loads(REPORT.to_json())
    assert (content["hardware"], content["batch"], content["objective"]) == ("bit_fusion", 4, "latency")
    assert content["total"]["total_cycles"] == 30 and "weight_bits" not in content["total"]
    first, pool, second = content["layers"]
    assert first["total_cycles"] == 10
    assert first["reads_bits"] == dict.fromkeys(MEMORIES, 5) and first["schedule"] == {"loop_order": ["batch", "width"]}
    assert pool["modelled"] is False and pool["total_cycles"] is None and pool["energy_nj"] == {}
    assert second["depthwise"] == "dense"
    assert json.loads(REPORT.layers[0].to_json()) == first


def test_json_is_read_back(tmp_path):
    REPORT.to_json(tmp_path / "simulation.json")
    again = NetworkReport.from_json(tmp_path / "simulation.json")
    assert again.to_json() == REPORT.to_json() and again.total == REPORT.total
    with pytest.raises(ValueError, match="simulation of a network on one machine"):
        NetworkReport.from_json('{"hardware": "bit_fusion"}')


def test_csv_has_a_line_per_layer_and_its_columns_add_up():
    rows = list(csv.DictReader(io.StringIO(REPORT.to_csv())))
    assert [row["name"] for row in rows] == ["first", "pool", "second"]
    assert sum(float(row["total_energy_nj"] or 0) for row in rows) == pytest.approx(REPORT.total.energy_nj["total"])
    assert rows[1]["modelled"] == "False"
    assert {value for key, value in rows[1].items() if key not in ("name", "kind", "modelled")} == {""}
    assert rows[0]["dram_reads_bits"] == "5" and rows[0]["output_buffer_writes_bits"] == "6"
    assert REPORT.layers[0].to_csv().splitlines() == REPORT.to_csv().splitlines()[:2]


def test_csv_quotes_names():
    text = NetworkReport((LayerReport('a,"b"', "add", modelled=False),), "bit_fusion", 1).to_csv()
    assert next(csv.DictReader(io.StringIO(text)))["name"] == 'a,"b"'


def test_text_is_a_table():
    text = str(REPORT)
    assert "bit_fusion, batch 4" in text and "single_channel" in text
    lines = text.splitlines()
    assert lines[1].split("  ")[0].strip() == "layer"
    assert "not modelled" in lines[3] and lines[3].startswith("pool")
    assert lines[-1].startswith("total") and "7.600" in lines[-1]


def test_text_of_a_layer():
    assert REPORT.layers[0].energy_by_place == {"core": 1.25, "buffers": 3.75, "dram": 1.25}
    assert str(LayerReport("pool", "max_pooling2d", modelled=False)) == "pool (max_pooling2d): not modelled"
    text = str(REPORT.layers[2])
    assert "second (conv2d, depthwise as dense): 2-bit weights, 4-bit activations, 1,000 MACs" in text
    assert "20 cycles = 17 compute + 3 stall" in text and "dram" in text


def test_files_are_written_once(tmp_path):
    path = tmp_path / "report.json"
    assert REPORT.to_json(path) == path.read_text()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        REPORT.to_json(path)
    with pytest.raises(FileExistsError):
        REPORT.layers[0].to_csv(path)
    assert REPORT.to_csv(path, overwrite=True) == path.read_text()


def test_network_without_modelled_layers():
    report = NetworkReport((LayerReport("add", "add", modelled=False),), "bit_fusion", 1)
    assert report.total.total_cycles == 0 and report.total.energy_nj["total"] == 0
    assert "not modelled" in str(report)
