import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_measures_and_writes(tmp_path):
    output = tmp_path / "benchmark.json"
    command = [sys.executable, str(ROOT / "tools" / "benchmark_simulator.py"), "--runs", "1", "--output", str(output)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "resnet50: 54 layers, 12 pairs of bits, batch 16" in result.stdout
    content = json.loads(output.read_text())
    assert (content["num_layers"], content["num_pairs"]) == (54, 12)
    assert 0 < content["layer_and_pair_ms"] < 1e3 * content["wall_seconds"]
