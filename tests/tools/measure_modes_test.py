import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_prints_a_row_for_each_number_of_bits():
    command = [sys.executable, str(ROOT / "tools" / "measure_modes.py"), "digits_cnn", "--bits=4,2", "--runs=2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    head, line, *rows = result.stdout.splitlines()
    assert head.startswith("| network | bits |") and set(line) <= set("|-")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[1] for row in cells] == ["4", "2"]
    for row in cells:
        floating, fast, small, foreseen = (int(row[index].replace(",", "")) for index in (2, 3, 4, 6))
        assert small <= fast < floating and abs(foreseen - small) <= 1024
