import json
import types

import keras
import numpy as np
import pytest

import tfmp
from tfmp import cli
from tfmp.compression.gathered_report import gathered_report
from tfmp.reports import ParetoFront, RunReport
from tfmp.tuner import TuningResults

pytestmark = pytest.mark.usefixtures("eagerly")
POINTS = [{"id": "0", "bitops": 2.0, "val_accuracy": 0.5, "bits": {"conv": [2, 4]}}]
FRONT = ParetoFront(POINTS, "bitops", "val_accuracy")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, eagerly):
    """The files of a search, put together by hand."""
    folder = tmp_path_factory.mktemp("run")
    layers = [keras.layers.Dense(4, name=name) for name in ("first", "middle", "last")]
    model = keras.Sequential([keras.Input((6,)), *layers], name="dense_net")
    x = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    fixed = tfmp.quantize(model, {"middle": (4, 8)}, calibration=x, post_training="ranges")
    fixed.save(folder / "fixed.keras")
    tfmp.export_tflite(fixed, folder / "some_name.tflite", mode="small")
    provenance = {"strategy": "budget", "budget": {"cost": "bitops", "limit": 7.0}}
    tfmp.BitAssignment({"middle": (4, 8)}, {"bitops": 1234.0}, provenance).to_json(folder / "assignment.json")
    return folder


def test_a_folder_says_what_its_files_hold(folder):
    report = gathered_report(folder)
    assert report.model == "dense_net" and report.bits == {"first": (8, 8), "middle": (4, 8), "last": (8, 8)}
    assert report.size_bytes == (folder / "some_name.tflite").stat().st_size
    assert report.asked["strategy"] == "budget" and json.loads(report.asked["budget"])["limit"] == 7.0
    assert report.asked["found: bitops"] == "1,234"
    assert all(layer.energy_nj > 0 and layer.file_bytes > 0 for layer in report.layers if layer.macs)
    assert not report.checks and not report.accuracies


def test_the_command_writes_the_page_once(folder, capsys):
    assert cli.main(["report", str(folder)]) == 0
    assert "Bits over the network" in (folder / "report.html").read_text()
    assert cli.main(["report", str(folder)]) == 1
    assert "exists" in capsys.readouterr().err
    assert cli.main(["report", str(folder), "--output", str(folder / "other.html")]) == 0


def test_the_command_writes_overlays_of_the_file(folder, tmp_path, capsys):
    overlays, page = tmp_path / "overlays", tmp_path / "page.html"
    command = ["report", str(folder), "--output", str(page), "--overlays", str(overlays)]
    assert cli.main(command) == 0
    assert "Wrote weight_bits, input_bits, bytes to" in capsys.readouterr().err
    results = json.loads((overlays / "weight_bits.json").read_text())["results"]
    assert results == {"first": {"value": 8}, "middle": {"value": 4}, "last": {"value": 8}}
    page.unlink()
    assert cli.main(command) == 1 and not page.exists(), "refused before anything is written"
    assert cli.main([*command, "--overwrite"]) == 0
    assert cli.main(["report", str(folder / "fixed.keras"), "--overlays", str(overlays)]) == 1
    assert "--overlays is for the folder of a run" in capsys.readouterr().err


def test_a_front_alone_is_a_run(tmp_path):
    FRONT.to_json(tmp_path / "front.json")
    report = gathered_report(tmp_path)
    assert report.front.points == FRONT.points and 'id="point-0"' in report.to_html()


def test_a_tuner_reports_its_front(tmp_path, monkeypatch):
    monkeypatch.setattr(TuningResults, "__init__", lambda self: None)
    monkeypatch.setattr(TuningResults, "pareto", lambda self, x, y: FRONT)
    results = TuningResults()
    results.project = types.SimpleNamespace(folder=tmp_path / "budgets")
    report = results.report()
    assert isinstance(report, RunReport) and report.model == "budgets" and report.front is FRONT


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        gathered_report(tmp_path / "missing")
    with pytest.raises(ValueError, match="Received a folder with none of these"):
        gathered_report(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.tflite").touch()
    with pytest.raises(ValueError, match=r"Received: a.tflite, b.tflite"):
        gathered_report(tmp_path)
