"""Commands that are killed in their work: `python -m tests.cli.killed_commands FOLDER`.

`tfmp search` and `tfmp tune` run in forks of a process that imported everything, with the arguments of
`tests.cli.killed_commands_test`, until `FOLDER/search/backup/epoch-00001` and a trial of `FOLDER/tune` are there.
"""

import os
import pathlib
import signal
import sys
import time

import tensorflow as tf

from tests.cli.killed_commands_test import arguments
from tfmp import cli


def run_and_kill(given, output, pattern):
    child = os.fork()
    if child == 0:
        tf.config.run_functions_eagerly(True)  # compiling would take far longer than a few steps
        os._exit(cli.main(given))
    while not any(output.glob(pattern)):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            raise RuntimeError(f"The command ended by itself, with status {status}")
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    run_and_kill(arguments(folder, "search"), folder / "search", "backup/epoch-00001")
    run_and_kill(arguments(folder, "tune"), folder / "tune", "trial_*")
