"""Replicas that share a batch compute the same state as one device with the whole batch."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = pathlib.Path(__file__).with_name("replicated_batches.py")
ROOT = PROGRAM.parents[2]


@pytest.fixture(scope="module")
def found():
    # Logical devices are made before TensorFlow starts.
    done = subprocess.run([sys.executable, "-m", "tests.quantizers.replicated_batches"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("shares", ["unequal", "zero", "empty"])
@pytest.mark.parametrize(
    "quantizer",
    ["lsq-signed", "lsq-unsigned", "moving_range-signed", "moving_range-unsigned", "linear-signed", "hwgq-unsigned"],
)
def test_replicas_find_the_state_of_the_whole_batch(found, quantizer, shares):
    replicated, alone = found[f"{quantizer}-{shares}"]
    for name, copies in replicated["state"].items():
        assert copies[0] == copies[1]
        assert copies[0] == pytest.approx(alone["state"][name][0], rel=1e-6), name
    np.testing.assert_allclose(replicated["rounded"], alone["rounded"], rtol=1e-6)
    if quantizer != "hwgq-unsigned" and replicated["state"]:
        assert alone["state"]["seen"] == [1.0]
