"""The page on several devices runs as printed, with the results of one device."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tf_keras

PROGRAM = pathlib.Path(__file__).with_name("distributed_page.py")
FIT, LOOP = "0", "1"
TIMEOUT = 1200  # seconds, for workers that never meet; on a busy machine one that does may take minutes


def network(framework):
    """Signed and unsigned inputs, a tensor that is stored, and layers of three kinds; the same weights each time."""
    kl = framework.layers
    x = inputs = framework.Input((6, 6, 2))
    x = skip = kl.Conv2D(3, 3, padding="same", name="first")(x)
    x = kl.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    x = kl.Add(name="addition")([x, skip])
    x = kl.Conv2D(4, 3, activation="relu", name="second")(x)
    x = kl.Dense(5, activation="relu", name="hidden")(kl.Flatten(name="flatten")(x))
    model = framework.Model(inputs, kl.Dense(3, name="head")(x))
    rng = np.random.default_rng(2)
    model.set_weights([0.4 * rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def start(which, framework, folder, *runs, **environment):
    """A process and where it writes; a pipe that nobody reads would stop it, and the worker that waits for it."""
    folder.mkdir(exist_ok=True)
    network(keras if framework == "keras" else tf_keras).save(folder / "model.keras")
    command = [sys.executable, str(PROGRAM), which, framework, str(folder), *runs]
    log = folder / "log"
    with log.open("w") as file:
        return subprocess.Popen(command, env={**os.environ, **environment}, stdout=file, stderr=file), log


def finish(*started):
    """Waits, and returns what went wrong in each process."""
    try:
        codes = [process.wait(timeout=TIMEOUT) for process, _ in started]
    finally:
        for process, _ in started:
            process.kill()
    return ["" if code == 0 else log.read_text() for code, (_, log) in zip(codes, started, strict=True)]


def succeed(*started):
    errors = finish(*started)
    assert not any(errors), "\n".join(error[-2000:] for error in errors)


def start_workers(which, framework, folder, *runs):
    """Two processes that find each other on the loopback."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    addresses = [f"127.0.0.1:{opened.getsockname()[1]}" for opened in sockets]
    for opened in sockets:
        opened.close()
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}} for index in range(2)]
    return [
        start(which, framework, folder / str(index), *runs, TF_CONFIG=json.dumps(task))
        for index, task in enumerate(tasks)
    ]


def assert_equal(found, alone):
    """One trajectory: logs, assignment, and each variable, the same bits on every replica."""
    assert found.files == alone.files
    assert len(found["log/multiplier"]) == 2 and found["log/multiplier"].all()
    np.testing.assert_array_equal(found["bits"], alone["bits"])
    for key in found.files:
        if "mixture_variance" in key:  # of one sample on each replica
            np.testing.assert_allclose(found[key].mean(), alone[key].mean(), rtol=0.2)
        elif key.startswith("log/"):
            np.testing.assert_allclose(found[key], alone[key], rtol=1e-5, err_msg=key)
        elif key != "bits":
            (expected,) = alone[key]
            for copy in found[key]:
                np.testing.assert_array_equal(copy, found[key][0], err_msg=key)
                np.testing.assert_allclose(copy, expected, rtol=1e-5, atol=1e-5, err_msg=key)


def check_mirrored(which, framework, folder, relaxation):
    succeed(start(which, framework, folder, f"mirrored-{relaxation}", f"single-{relaxation}"))
    found, alone = (np.load(folder / f"{name}-{relaxation}.npz") for name in ("mirrored", "single"))
    assert {len(found[key]) for key in found.files if key.startswith("search_model/")} == {2}
    assert_equal(found, alone)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "framework", "relaxation"),
    [
        (FIT, "keras", "softmax"),
        (FIT, "keras", "gumbel"),
        (FIT, "tf_keras", "softmax"),
        (FIT, "tf_keras", "gumbel"),
        (LOOP, "keras", "softmax"),
    ],
)
def test_two_devices_find_what_one_finds(tmp_path, which, framework, relaxation):
    check_mirrored(which, framework, tmp_path, relaxation)


@pytest.mark.slow
@pytest.mark.parametrize("relaxation", ["softmax", "gumbel"])
@pytest.mark.parametrize(("which", "framework"), [(FIT, "tf_keras"), (LOOP, "keras")])
def test_two_workers_find_what_one_device_finds(tmp_path, which, framework, relaxation):
    succeed(*start_workers(which, framework, tmp_path, f"workers-{relaxation}"))
    succeed(start(which, framework, tmp_path, f"single-{relaxation}"))
    one, other = (np.load(tmp_path / index / f"workers-{relaxation}.npz") for index in ("0", "1"))
    assert_equal(one, np.load(tmp_path / f"single-{relaxation}.npz"))
    for key in one.files:
        np.testing.assert_array_equal(one[key], other[key], err_msg=key)


@pytest.mark.slow
def test_keras_3_refuses_to_fit_on_several_workers_as_the_page_says(tmp_path):
    errors = finish(*start_workers(FIT, "keras", tmp_path, "workers-softmax"))
    assert all(errors)
    assert any("Attempt to convert a value (PerReplica" in error for error in errors)
