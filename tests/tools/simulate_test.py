import csv
import io
import json
import os
import pathlib
import subprocess
import sys

import pytest

from tfmp import cli
from tfmp.graph import BitAssignment

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "simulate.py"
NETWORK = [
    {
        "name": "conv",
        "kind": "conv2d",
        "kernel_size": [3, 3],
        "in_channels": 3,
        "out_channels": 8,
        "output_size": [4, 4],
    },
    {"name": "pool", "kind": "max_pooling2d"},
    {"name": "dense", "kind": "dense", "in_channels": 32, "out_channels": 10},
]


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "network.json"
    path.write_text(json.dumps(NETWORK))
    return path


def run(*arguments, program=(str(TOOL),)):
    command = [sys.executable, *program, *(str(argument) for argument in arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_prints_a_table(network):
    result = run(network, "--uniform", "8,8")
    assert result.returncode == 0, result.stderr
    assert "pool   max_pooling2d  not modelled" in result.stdout and "total" in result.stdout


def test_writes_what_was_assigned(network, tmp_path):
    assignment, output = tmp_path / "assignment.json", tmp_path / "report.csv"
    BitAssignment({"conv": (2, 4)}).to_json(assignment)
    arguments = [network, "--assignment", assignment, "--uniform", "8,8", "--format", "csv", "--output", output]
    assert run(*arguments).returncode == 0
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert [(row["name"], row["weight_bits"], row["activation_bits"]) for row in rows] == [
        ("conv", "2", "4"),
        ("pool", "", ""),
        ("dense", "8", "8"),
    ]
    again = run(*arguments)
    assert again.returncode == 1 and "overwrite" in again.stderr


def test_prints_json_for_other_hardware(network, tmp_path):
    from tfmp.simulator import Hardware

    hardware = Hardware.from_preset("bit_fusion").resize(name="wide", dram_bits_per_cycle=1024)
    path = tmp_path / "hardware.json"
    path.write_text(json.dumps(hardware.__dict__))
    result = run(network, "--uniform", "4,4", "--format", "json", "--hardware", path, "--batch", 1)
    report = json.loads(result.stdout)
    assert (report["hardware"], report["batch"], len(report["layers"])) == ("wide", 1, 3)


@pytest.mark.slow
def test_networks_of_the_library_are_known_by_name():
    result = run("digits_cnn", "--uniform", "8,4", "--format", "csv")
    assert result.returncode == 0, result.stderr
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(result.stdout))}
    assert (rows["stem"]["weight_bits"], rows["classifier"]["activation_bits"]) == ("8", "4")


def test_machines_side_by_side_and_a_sweep(network, capsys):
    machines = ["--hardware", "bit_fusion", "--hardware", "mpic", "--batch", "1"]
    assert cli.main(["simulate", str(network), "--uniform", "4,4", *machines]) == 0
    assert "bit_fusion, simulated ms" in capsys.readouterr().out
    assert cli.main(["simulate", str(network), "--sweep", "--format", "json", *machines]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["hardware"], row["weight_bits"]) for row in rows] == [
        (machine, bits) for machine in ("bit_fusion", "mpic") for bits in range(8, 0, -1)
    ]
    assert cli.main(["simulate", str(network), "--sweep", "--uniform", "4,4"]) == 1
    assert "--sweep gives all layers the same bits" in capsys.readouterr().err
    assert cli.main(["simulate", str(network), "--uniform", "4,4", "--hardware", "mpic", "--hardware", "mpic"]) == 1
    assert "Received: mpic, mpic. Name each machine once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --uniform W,A, --assignment FILE or --sweep"),
        (["--uniform", "8"], "--uniform: must be two integers from 1 to 32. Received: (8,)"),
        (["--uniform", "8,9"], "Layer `conv`: `activation_bits` must be an integer from 1 to 8"),
        (["--uniform", "8,8", "--hardware", "tpu"], "Received: 'tpu'. Describe other hardware in a file"),
        (["--uniform", "8,8", "--output", "x"], "--output needs --format json or csv"),
    ],
)
def test_bad_arguments_are_explained(network, arguments, message):
    result = run(network, *arguments)
    assert result.returncode in (1, 2) and "Traceback" not in result.stderr
    assert message in result.stdout + result.stderr
