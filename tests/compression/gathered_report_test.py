import json
import types

import keras
import numpy as np
import pytest

import tfmp
from tfmp import cli
from tfmp.compression.gathered_report import gathered_report
from tfmp.graph import LayerShape
from tfmp.joint import BlockSpec, DiscreteNetwork, SearchSpace
from tfmp.reports import ParetoFront, RunReport
from tfmp.simulator import simulate
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


def test_a_simulation_is_a_run(tmp_path, capsys):
    simulation, layers = (
        tmp_path / "energy.json",
        [LayerShape("conv", "conv2d", (3, 3), (1, 1), 3, 8), ("pool", "max")],
    )
    simulated = simulate(layers, {"conv": (2, 4)}, "eyeriss", batch=4)
    simulated.to_json(simulation)
    report = gathered_report(tmp_path)
    conv, pool = report.layers
    assert report.hardware == "eyeriss" and report.bits == {"conv": (2, 4)} and conv.macs == layers[0].macs
    assert 4 * conv.energy_nj == pytest.approx(simulated.total.energy_nj["total"]) and pool.energy_nj is None
    assert 4 * conv.latency_us == pytest.approx(1000 * simulated.total.latency_ms)
    assert cli.main(["report", str(tmp_path)]) == 0
    assert "Energy by layer" in (tmp_path / "report.html").read_text()
    (tmp_path / "energy.json").write_text("[]")  # of several machines, or of something else
    with pytest.raises(ValueError, match="none of these"):
        gathered_report(tmp_path)


def test_a_joint_search_is_a_run(tmp_path):
    space = SearchSpace([(16, 1, 1)], image_size=8, num_classes=10, stem=(8, 1), last_channels=32)
    history = [{"epoch": 0, "loss": 2.0, "expected_cost": None}, {"epoch": 1, "loss": 1.5, "expected_cost": 0.9}]
    provenance = {"strategy": "most_probable", "target": 5.0, "settings": {"order": "first"}, "history": history}
    network = DiscreteNetwork(space, [BlockSpec(False, 3, 5, 8, 4)], provenance)
    network.to_json(tmp_path / "network.json")
    report = gathered_report(tmp_path)
    assert report.bits == network.bits and report.asked["target"] == "5.0" and report.asked["order"] == "first"
    assert report.history == {"loss": [2.0, 1.5], "expected_cost": [None, 0.9]}
    assert "expected_cost" in report.to_html() and all(layer.energy_nj > 0 for layer in report.layers)


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
