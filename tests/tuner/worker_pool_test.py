import os
import pathlib
import signal
import sys
import textwrap
import time

import pytest

from tfmp.tuner import WorkerPool, worker_pool

PROCESS = worker_pool.__file__

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
    with pytest.raises(ChildProcessError, match="`worker1` ended with code -9, 2 times"):
        failing.run(poll_seconds=0.05)
    assert all(process.poll() is not None for process in failing.processes.values())


def test_a_worker_that_comes_too_late_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_pool, "_PATIENCE_SECONDS", 0.1)
    program = "import os, time; time.sleep(60 if os.environ['KERASTUNER_TUNER_ID'] == 'worker1' else 0)"
    late = WorkerPool([sys.executable, "-c", program], 2)
    late.run(poll_seconds=0.05)
    assert late.processes["chief"].returncode == 0
    assert late.processes["worker1"].returncode == -signal.SIGTERM


def test_who_is_started_again_overwrites_nothing(tmp_path):
    program = """
        import os, pathlib, runpy, sys, time
        log = pathlib.Path(sys.argv[1]) / os.environ["KERASTUNER_TUNER_ID"]
        with log.open("a") as file:
            print(runpy.run_path(sys.argv[2])["may_overwrite"](), file=file)
        chief = log.parent / "chief"
        if log == chief and len(log.read_text().splitlines()) == 1:
            os.kill(os.getpid(), 9)
        while not chief.exists() or len(chief.read_text().splitlines()) < 2:
            time.sleep(0.05)
    """
    WorkerPool([sys.executable, "-c", textwrap.dedent(program), str(tmp_path), PROCESS], 1).run(poll_seconds=0.05)
    assert (tmp_path / "chief").read_text().split() == ["True", "False"]
    assert (tmp_path / "worker0").read_text().split() == ["False"]


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"])
def test_no_process_outlives_its_pool(end, tmp_path):
    program = """
        import os, pathlib, runpy, sys, time
        runpy.run_path(sys.argv[2])["end_with_pool"]()
        (pathlib.Path(sys.argv[1]) / str(os.getpid())).touch()
        time.sleep(1000)
    """
    pid = os.fork()
    if pid == 0:
        try:
            WorkerPool([sys.executable, "-c", textwrap.dedent(program), str(tmp_path), PROCESS], 1).run()
        except SystemExit as ended:
            os._exit(ended.code)
        finally:
            os._exit(1)
    deadline = time.monotonic() + 60
    while len(children := [int(path.name) for path in tmp_path.iterdir()]) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children) == 2
    os.kill(pid, signal.Signals[end])
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == (128 + signal.SIGTERM if end == "SIGTERM" else -signal.SIGKILL)
    deadline = time.monotonic() + 60
    while any(map(_lives, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_lives, children))


def _lives(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[-1].split()[0]
    except FileNotFoundError:
        return False
    return status != "Z"  # its new parent has not collected it yet


def test_a_pool_has_workers():
    with pytest.raises(ValueError, match="`num_workers` must be a positive integer. Received: 0"):
        WorkerPool(["true"], 0)
