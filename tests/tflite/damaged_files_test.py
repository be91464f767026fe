"""Files that were damaged give an error or an answer, and never end the process."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

import tfmp
from tests import golden_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("keras_plain.small", "keras_residual.fast", "keras_several.fast", "keras_nested.float")


def survive(path, target, count):
    """Inspects damaged copies of a file."""
    content = np.fromfile(path, np.uint8)
    rng = np.random.default_rng(0)
    for number in range(count):
        damaged = content.copy()
        way = number % 4
        if way == 0:
            damaged = damaged[: rng.integers(0, len(content))]
        elif way == 1:
            places = rng.integers(0, len(content), rng.integers(1, 16))
            damaged[places] = rng.integers(0, 256, len(places))
        elif way == 2:
            start = rng.integers(0, len(content))
            damaged[start : start + rng.integers(1, 64)] = 0
        else:
            damaged = np.concatenate([damaged, rng.integers(0, 256, 100).astype(np.uint8)])
        damaged.tofile(target)
        try:
            str(tfmp.inspect(target))
        except ValueError as error:
            assert "Received" in str(error) or "Expected" in str(error), error


def path_of(name):
    return golden_files.FOLDER / f"{name}.tflite"


def test_damaged_files_are_errors(tmp_path):
    survive(path_of(NAMES[0]), tmp_path / "damaged.tflite", 40)


# In a separate process: a crash of the runtime would end the tests.
_PROGRAM = """
import sys
from tests.tflite.damaged_files_test import survive

survive(sys.argv[1], sys.argv[2], 400)
print("survived")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_many_damaged_files_are_errors(name, tmp_path):
    command = [sys.executable, "-c", _PROGRAM, str(path_of(name)), str(tmp_path / "damaged.tflite")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "survived" in done.stdout, f"{done.returncode}: {done.stderr[-2000:]}"
