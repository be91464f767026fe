import subprocess
import sys

import pytest

from recipes import compress_networks, experiment, trained_tables
from tfmp.cli import parser
from tfmp.reports import Attempt, RunReport, WishCheck


def test_a_run_has_what_the_command_took_and_made(small_float_network, tmp_path, monkeypatch):
    def command(arguments, folder):
        given = parser().parse_args(arguments[3:])
        assert (folder / given.model).exists() and (folder / given.data).exists() and given.epochs == 0
        (folder / "model-compressed").mkdir()
        attempts = [Attempt(way, "", "", "", 900, 0.5) for way in ("int8", "mixed", "mixed")]
        checks, accuracies = [WishCheck("flash", given.flash, 900, "bytes")], {"float": 0.75, "file": 0.5}
        report = RunReport("net", attempts=attempts, checks=checks, accuracies=accuracies, file_bytes={"weights": 900})
        report.to_json(folder / "model-compressed" / "report.json")
        return 9.5, 12.4

    monkeypatch.setattr(compress_networks, "measured_seconds", command)
    config = {**experiment.load_config("compress_networks"), "num_train": 16}
    folders = tmp_path / "work", tmp_path / "results"
    planned = experiment.plan(compress_networks.METHODS, config, names=["mobilenet_v1"], settings=(), folders=folders)
    ((method, run),) = planned
    record = {"method": run.name, **method(run)}
    assert record["is_met"] and record["wall_seconds"] == 9.5 and not run.backup_dir.exists()
    _, (row,) = trained_tables.compress_networks({run.name: record})
    assert row == ["mobilenet_v1", "`--flash 128k --no_training`", "int8, mixed", "75.00", "50.00", "900", "12", "10"]


def test_processor_time_is_that_of_the_command(tmp_path):
    burn = "import sys, time\nwhile time.process_time() < 0.3: pass\nsys.exit(int(sys.argv[1]))"
    seconds, cpu_seconds = compress_networks.measured_seconds([sys.executable, "-c", burn, "3"], tmp_path)
    assert cpu_seconds >= 0.3 and seconds >= 0.3
    with pytest.raises(subprocess.CalledProcessError):
        compress_networks.measured_seconds([sys.executable, "-c", burn, "1"], tmp_path)
