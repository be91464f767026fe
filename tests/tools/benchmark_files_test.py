import json
import os
import pathlib
import subprocess
import sys

import pytest

from recipes import results_table

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_compares_a_network_once(tmp_path):
    folder = tmp_path / "benchmark_files"
    command = [sys.executable, str(ROOT / "tools" / "benchmark_files.py"), "digits_cnn", "--rounds=2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for expected in (2, 0):
        run = subprocess.run([*command, f"--folder={folder}"], capture_output=True, text=True, env=environment)
        assert run.returncode == 0, run.stderr
        assert run.stdout.count("of the bytes of TensorFlow's file") == expected
    (path,) = folder.iterdir()
    files = json.loads(path.read_text())["files"]
    assert files["fast"]["content_bytes"] < files["fast"]["bytes"] < files["tensorflow"]["bytes"]
    assert files["tensorflow"]["operators"]["CONV_2D"] == files["fixed"]["operators"]["CONV_2D"]
    head, _, row = results_table.table(folder).splitlines()
    assert head.count("|") == row.count("|") and "digits_cnn" in row
