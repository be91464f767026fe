import json

import pytest

from tfmp import cli
from tfmp.cli import environment


def test_what_is_needed_is_tried(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert cli.main(["doctor", "--json"]) == 0
    found = {each["name"]: each for each in json.loads(capsys.readouterr().out)["environment"]["findings"]}
    assert {each["status"] for each in found.values()} == {"ok"}
    assert found["tfmp"]["value"].startswith("0.") and found["XLA"]["value"] == "compiles"
    for target in ("LiteRT", "microcontrollers"):
        assert found[target]["value"].endswith("4 of 4 operators equal")
    assert "OMP_NUM_THREADS=7" in found["threads"]["value"]
    assert not list(tmp_path.iterdir())


def test_what_fails_is_named_with_a_way_out(capsys, monkeypatch):
    def no_versions(name):
        raise environment.importlib.metadata.PackageNotFoundError(name)

    def read_only():
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(environment, "_write_access", read_only)
    monkeypatch.setattr(environment.importlib.metadata, "version", no_versions)
    monkeypatch.setattr(environment, "_xla", lambda: pytest.fail("nothing is run without TensorFlow"))
    found = environment.examine()
    assert found.failed == ["tensorflow", "keras", "ai-edge-litert", "numpy", "current folder"]
    text = str(found)
    assert "pip install tensorflow" in text and "pip install 'tfmp[tuner]' if you need it" in text
    assert "PermissionError: [Errno 13] Permission denied" in text
    monkeypatch.setattr(environment, "examine", lambda: found)
    assert cli.main(["doctor"]) == 1
    printed = capsys.readouterr()
    assert text in printed.out and printed.err.startswith("tfmp doctor: ") and printed.err.count("\n") == 1
