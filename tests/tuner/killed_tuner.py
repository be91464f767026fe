"""Searches that are killed at random moments: `python -m tests.tuner.killed_tuner FOLDER ROUNDS SEED`.

One search runs unbroken in `FOLDER/unbroken`, to be compared with. Each round starts another one in `FOLDER/roundN`,
kills it, and starts it again until it is done. Every trial notes its start in the file `started`. The searches run in
forks of a process that imported everything.
"""

import os
import pathlib
import random
import signal
import sys
import time

from tests.tuner import tiny_experiment as tiny
from tfmp.tuner import BudgetTuner, register_strategy
from tfmp.types import BitAssignment

_PATIENCE = 6  # kills, after which a search may live longer and longer


def noted(run):
    """Fixes the bits without training, so that a round is short, and writes every file that a trial writes."""
    with open("started", "a", encoding="utf-8") as file:
        file.write(f"{run.budget.like_uniform} {run.values['learning_rate']}\n")
    search_model = run.relaxed()
    run.keep_search(search_model)
    assignment = BitAssignment({"middle": run.budget.like_uniform})
    return run.fine_tuned(search_model, assignment, 0), assignment


def search():
    register_strategy("noted", noted)
    hypermodel = tiny.hypermodel(strategies=["noted"], choices={"learning_rate": [0.1, 0.2]}, float_epochs=1)
    tiny.search(BudgetTuner(hypermodel, directory="tuning", warm_start=True))


def run_and_kill(folder, life):
    """Runs the search in a fork for some seconds; returns whether it was done before."""
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        code = 1
        try:
            search()
            code = 0
        finally:
            os._exit(code)
    end = time.monotonic() + life
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if status:
                raise RuntimeError(f"The search ended by itself, with status {status}")
            return True
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def main(folder, rounds, seed):
    rng, folder = random.Random(seed), pathlib.Path(folder)
    (folder / "unbroken").mkdir()
    start = time.monotonic()
    run_and_kill(folder / "unbroken", life=float("inf"))
    unbroken = time.monotonic() - start
    for index in range(rounds):
        place = folder / f"round{index}"
        place.mkdir()
        kills = 0
        while not run_and_kill(place, rng.uniform(0, unbroken) * max(1, kills / _PATIENCE)):
            kills += 1
        print(f"round {index}: killed {kills} times", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
