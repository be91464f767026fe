"""Several workers on one machine."""

import os
import socket
import subprocess
import time


class WorkerPool:
    """Runs a program as the chief and the workers of keras-tuner's distributed search, and restarts those that die.

    A trial of a worker that died is run again only under the same id: the pool starts it anew under its own. A chief
    that is started anew takes up what was finished.

    Args:
        command: The program and its arguments, a list. It makes a `BudgetTuner` and calls `search`, as it would alone.
        num_workers: Integer, 1 or more.
        restarts: How often each process may be started anew; so a program that always fails comes to an end.
        environment: More environment variables for all of them.

    Example:
        >>> tfmp.tuner.WorkerPool([sys.executable, "tune.py"], num_workers=2).run()
    """

    def __init__(self, command, num_workers, *, restarts=3, environment=None):
        if num_workers < 1:
            raise ValueError(f"`num_workers` must be 1 or more. Received: {num_workers}")
        self.command, self.restarts = list(command), restarts
        self.environment = dict(environment or {})
        self.names = ["chief", *(f"worker{index}" for index in range(num_workers))]
        self.processes = {}

    def run(self, poll_seconds=0.2):
        """Returns when all workers are done.

        Raises:
            RuntimeError: If a process failed more often than it may be started anew.
        """
        shared = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": str(_free_port()), **self.environment}
        starts = dict.fromkeys(self.names, 0)

        def start(name):
            starts[name] += 1
            environment = {**os.environ, **shared, "KERASTUNER_TUNER_ID": name}
            self.processes[name] = subprocess.Popen(self.command, env=environment)

        try:
            for name in self.names:
                start(name)
            while any(self.processes[name].poll() != 0 for name in self.names[1:]):
                for name, process in list(self.processes.items()):
                    code = process.poll()
                    if code is None or code == 0:
                        continue
                    if starts[name] > self.restarts:
                        raise RuntimeError(
                            f"`{name}` ended with code {code}, {starts[name]} times. See what it printed."
                        )
                    print(f"{name} ended with code {code}: started again", flush=True)
                    start(name)
                time.sleep(poll_seconds)
        finally:
            for process in self.processes.values():
                if process.poll() is None:
                    process.terminate()
            for process in self.processes.values():
                process.wait()


def _free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
