import pathlib
import sys
import textwrap

import pytest

from tfmp.tuner import WorkerPool

PROGRAM = """
    import os, pathlib, sys, time
    name = os.environ["KERASTUNER_TUNER_ID"]
    log = pathlib.Path(sys.argv[1]) / name
    with log.open("a") as file:
        print(os.environ["KERASTUNER_ORACLE_IP"], os.environ["KERASTUNER_ORACLE_PORT"], file=file)
    if name == "chief":
        time.sleep(60)  # a chief ends long after its workers
    starts = len(log.read_text().splitlines())
    if name == "worker1" and starts <= int(sys.argv[2]):
        os.kill(os.getpid(), 9)
"""


def pool(folder, deaths, **arguments):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder), str(deaths)]
    return WorkerPool(command, 2, **arguments)


def starts(folder):
    return {path.name: len(path.read_text().splitlines()) for path in pathlib.Path(folder).iterdir()}


def test_who_dies_is_started_again_under_its_name(tmp_path, capfd):
    pool(tmp_path, 2).run(poll_seconds=0.05)
    assert starts(tmp_path) == {"chief": 1, "worker0": 1, "worker1": 3}
    assert len({line for path in tmp_path.iterdir() for line in path.read_text().splitlines()}) == 1, "one address"
    assert "worker1 ended with code -9: started again" in capfd.readouterr().out


def test_who_always_dies_ends_the_others(tmp_path):
    failing = pool(tmp_path, 100, restarts=1)
    with pytest.raises(RuntimeError, match="`worker1` ended with code -9, 2 times"):
        failing.run(poll_seconds=0.05)
    assert all(process.poll() is not None for process in failing.processes.values())


def test_a_pool_has_workers():
    with pytest.raises(ValueError, match="`num_workers` must be 1 or more. Received: 0"):
        WorkerPool(["true"], 0)
