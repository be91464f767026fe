"""Searches that are killed at random moments: `python -m tests.tuner.killed_tuner FOLDER ROUNDS SEED`.

One search runs unbroken in `FOLDER/unbroken`, to be compared with. Each round starts another one in `FOLDER/roundN`,
kills it, and starts it again until it is done. Every trial notes its start in the file `started`. The searches run in
forks of a process that imported everything.
"""

import os
import pathlib
import random
import resource
import signal
import sys
import time

import tensorflow as tf

from tests.tuner import tiny_experiment as tiny
from tfmp.graph import BitAssignment
from tfmp.tuner import BudgetTuner, register_strategy

_PATIENCE = 6  # kills, after which a search may live longer and longer


def noted(run):
    """Trains for an epoch at the bits of the budget, and writes every file that a trial writes."""
    with open("started", "a", encoding="utf-8") as file:
        file.write(f"{run.budget.like_uniform} {run.values['learning_rate']}\n")
    search_model = run.relaxed()
    run.keep_search(search_model)
    assignment = BitAssignment({"middle": run.budget.like_uniform})
    return run.fine_tuned(search_model, assignment, 1), assignment


def search():
    tf.config.run_functions_eagerly(True)  # compiling would take far longer than two steps
    register_strategy("noted", noted)
    hypermodel = tiny.hypermodel(strategies=["noted"], choices={"learning_rate": [0.1, 0.2]}, float_epochs=1)
    tiny.search(BudgetTuner(hypermodel, directory="tuning", warm_start=True))


def run_and_kill(folder, life):
    """Runs the search in a fork for some seconds of processor time; returns whether it was done before."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        code = 1
        try:
            search()
            code = 0
        finally:
            os._exit(code)
    while _cpu_seconds(child) < life:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f"The search ended by itself, with status {status}")
            return True
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def _cpu_seconds(pid):
    """Of its own, so that whatever else the machine does decides nothing."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[-1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(folder, rounds, seed):
    rng, folder = random.Random(seed), pathlib.Path(folder)
    (folder / "unbroken").mkdir()
    run_and_kill(folder / "unbroken", life=float("inf"))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    unbroken = spent.ru_utime + spent.ru_stime
    for index in range(rounds):
        place = folder / f"round{index}"
        place.mkdir()
        kills = 0
        while not run_and_kill(place, rng.uniform(0, unbroken) * max(1, kills / _PATIENCE)):
            kills += 1
        print(f"round {index}: killed {kills} times", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
