import dataclasses
import json

import pytest

from tests.reports.whole_run_report import LAYERS, REPORT
from tfmp.reports import RunReport, WishCheck
from tfmp.reports.run_report import package_versions


def test_json_has_everything(tmp_path):
    REPORT.to_json(tmp_path / "report.json")
    read = RunReport.from_json(tmp_path / "report.json")
    assert json.loads(read.to_json()) == json.loads(REPORT.to_json())
    assert (read.layers, read.checks, read.attempts) == (REPORT.layers, REPORT.checks, REPORT.attempts)
    assert read.forecast == REPORT.forecast and read.sensitivities == REPORT.sensitivities
    assert (
        read.front.front == json.loads(json.dumps(REPORT.front.front), object_hook=dict) or len(read.front.front) == 2
    )


def test_what_is_not_there_has_defaults():
    assert RunReport.from_json(RunReport("net").to_json()) == RunReport("net")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "tfmp.Forecast"}, "without the mark"),
        ({"version": 2}, "upgrade"),
        ({"checks": [{"limit": 3}]}, "Expected the arguments of `WishCheck`"),
        ({"surprise": 1}, "Expected the arguments of `RunReport`"),
    ],
)
def test_another_record_is_refused(change, message):
    content = {**json.loads(REPORT.to_json()), **change}
    with pytest.raises(ValueError, match=message):
        RunReport.from_json(json.dumps(content))


def test_a_wish_is_met_up_to_its_limit():
    assert not REPORT.is_met
    assert dataclasses.replace(REPORT, checks=REPORT.checks[:1]).is_met
    assert WishCheck("flash", 4096, 4096, "bytes").is_met and not WishCheck("flash", 4096, 4097, "bytes").is_met


def test_text_has_the_result():
    lines = str(REPORT).splitlines()
    assert "flash: 3,584 bytes, asked for 4,096 bytes: met" in lines
    assert "accuracy drop: 0.0125, asked for 0.01: NOT met" in lines
    assert "accuracy on 400 samples: float 98.75 %, fixed 97.50 %, file 97.50 %" in lines
    assert "operator sum: 1e-07 of codes differ, by at most 1" in lines
    assert lines[-1] == "would help: Train: omit --no_training."


def test_sums():
    assert REPORT.size_bytes == sum(REPORT.file_bytes.values()) == 3584
    assert REPORT.bits == {layer.name: (layer.weight_bits, layer.activation_bits) for layer in LAYERS if layer.macs}
    assert [each.name for each in REPORT.unequal_operators] == ["sum"]


def test_versions_are_those_of_installed_packages():
    versions = package_versions()
    assert {"python", "tfmp", "numpy"} <= versions.keys() and all(versions.values())
