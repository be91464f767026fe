"""A command killed at random moments: `python -m tests.cli.killed_at_random FOLDER KILLS SEED ARGUMENT ...`.

It runs in forks of a process that imported everything, first once to its end, with `FOLDER/whole` for its output, which
tells how long it takes; then in `FOLDER/killed`, again and again, until it was killed KILLS times, and at last to its
end. What stood there after each kill is copied to `FOLDER/states`. `{output}` among the arguments is the output.
"""

import os
import pathlib
import random
import shutil
import signal
import sys
import time

import tensorflow as tf

from tfmp import cli


def run(given, seconds=None):
    """Runs a command, or kills it after some seconds; returns whether it was killed."""
    child = os.fork()
    if child == 0:
        tf.config.run_functions_eagerly(True)  # compiling would take far longer than a few steps
        os._exit(cli.main(given))
    end = None if seconds is None else time.monotonic() + seconds
    while end is None or time.monotonic() < end:
        done, status = os.waitpid(child, 0 if end is None else os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f"The command ended by itself, with status {status}")
            return False
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main(folder, kills, seed, given):
    def arguments(output):
        return [text.format(output=folder / output) for text in given]

    begin = time.monotonic()
    run(arguments("whole"))
    duration = time.monotonic() - begin
    moments = random.Random(seed)
    killed = 0
    while killed < kills:
        killed += run(arguments("killed"), moments.uniform(0.2, 1.0) * duration)
        shutil.copytree(folder / "killed", folder / "states" / str(len(os.listdir(folder / "states"))))
    run(arguments("killed"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
