"""Runs several tuner workers on one machine, and knows the role of this process among them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from tfmp.checks import check_instance, check_integer, check_path

# Set by a `WorkerPool` for the processes that it starts.
POOL_PIPE = "TFMP_WORKER_POOL_PIPE"  # descriptor and inode of a pipe without writes, which closes with the pool
TAKES_UP = "TFMP_TUNER_TAKES_UP"  # the search has begun: overwrite nothing


def tuner_id() -> str:
    """Returns keras-tuner's id of the process."""
    return os.environ.get("KERASTUNER_TUNER_ID", "tuner0")


def is_worker() -> bool:
    """Returns whether a chief hands out the trials."""
    return "KERASTUNER_ORACLE_IP" in os.environ and "chief" not in tuner_id()


def may_overwrite() -> bool:
    """Returns whether the process may overwrite, because it begins a search; workers and restarted chiefs do not."""
    return not is_worker() and TAKES_UP not in os.environ


def end_with_pool() -> None:
    """Lets the process end as soon as the pool that started it has ended, be it by SIGKILL."""
    descriptor, _, inode = os.environ.pop(POOL_PIPE, "").partition(":")
    try:
        is_pipe = bool(descriptor) and str(os.fstat(int(descriptor)).st_ino) == inode
    except OSError:  # a program in between did not pass it on
        is_pipe = False
    if is_pipe:
        threading.Thread(target=_end_with, args=(int(descriptor),), daemon=True).start()


def _end_with(descriptor):
    os.read(descriptor, 1)
    os._exit(1)


_CHIEF = "chief"
_PATIENCE_SECONDS = 30


class WorkerPool:
    """Runs a program as the chief and the workers of keras-tuner's distributed search, and restarts those that die.

    The trial of a dead worker is run again only if the worker has the same id, so the pool restarts it with its id. A
    restarted chief keeps the finished trials and overwrites nothing. No process outlives the pool.

    Args:
        command: The program and its arguments, a list. It creates a `BudgetTuner` and calls `search`, as without a
            pool, and then ends: after the chief is done, workers have half a minute left.
        num_workers: Integer, 1 or more.
        restarts: Largest number of restarts of each process, so that a program that always fails ends.
        environment: Additional environment variables for all processes.

    Example:
        >>> tfmp.tuner.WorkerPool([sys.executable, "tune.py"], num_workers=2).run()
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        num_workers: int,
        *,
        restarts: int = 3,
        environment: Mapping[str, str] | None = None,
    ):
        check_integer("num_workers", num_workers, at_least=1)
        self.restarts = check_integer("restarts", restarts, at_least=0)
        check_instance("command", command, (list, tuple), "a list, the program and its arguments")
        if not command:
            raise ValueError("`command` must be a program and its arguments. Received: an empty list")
        self.command = [os.fspath(check_path("command", each)) for each in command]
        self.environment = dict(environment or {})
        self.names = [_CHIEF, *(f"worker{index}" for index in range(num_workers))]
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, poll_seconds: float = 0.2) -> None:
        """Runs the pool until all workers are done, or the chief is done and no worker has work left.

        Raises:
            ChildProcessError: If a process failed more often than `restarts`.
        """
        failures = dict.fromkeys(self.names, 0)
        with _ended_by_sigterm(), _pipe() as pipe:
            address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(_free_port())}
            shared = {**os.environ, POOL_PIPE: f"{pipe}:{os.fstat(pipe).st_ino}", **address, **self.environment}
            try:
                for name in self.names:
                    self._start(name, shared, pipe)
                while not self._is_done():
                    for name in self._failed():
                        failures[name] += 1
                        code = self.processes[name].returncode
                        if failures[name] > self.restarts:
                            raise ChildProcessError(
                                f"`{name}` ended with code {code}, {failures[name]} times. See its output."
                            )
                        print(f"{name} ended with code {code}: started again", flush=True)
                        self._start(name, {**shared, TAKES_UP: "1"}, pipe)
                    time.sleep(poll_seconds)
            finally:
                for process in self.processes.values():
                    if process.poll() is None:
                        process.terminate()
                for process in self.processes.values():
                    process.wait()

    def _start(self, name, environment, pipe):
        inherited = {"pass_fds": (pipe,)} if os.name == "posix" else {}
        environment = {**environment, "KERASTUNER_TUNER_ID": name}
        self.processes[name] = subprocess.Popen(self.command, env=environment, **inherited)

    def _is_done(self):
        codes = {name: process.poll() for name, process in self.processes.items()}
        chief = codes.pop(_CHIEF)
        if chief != 0:
            return all(code == 0 for code in codes.values())
        # The chief ends after the last trial. A worker that starts later would wait for it for an hour.
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end and any(self.processes[name].poll() is None for name in codes):
            time.sleep(0.2)
        return True

    def _failed(self):
        return [name for name, process in self.processes.items() if process.poll() not in (None, 0)]


@contextlib.contextmanager
def _ended_by_sigterm():
    """Turns SIGTERM into an exception, after which processes are ended; works only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


@contextlib.contextmanager
def _pipe():
    """Yields the read end of a pipe whose write end only this process has."""
    reader, writer = os.pipe()
    try:
        yield reader
    finally:
        os.close(reader)
        os.close(writer)


def _free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
