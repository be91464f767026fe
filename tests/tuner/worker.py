"""A search of six trials: `python -m tests.tuner.worker DIRECTORY ORACLE DEATH`, alone or in a `WorkerPool`.

Every trial notes its start in `DIRECTORY/started`, and trains for an epoch at its learning rate and bits. With DEATH
`worker`, the worker that starts the third trial is killed in the middle of it, the first time; with `chief`, the chief
is killed then. The chief may overwrite what it finds, which only its first start may do.
"""

import os
import pathlib
import signal
import sys

import tensorflow as tf
from keras_tuner import oracles

from tests.tuner import tiny_experiment as tiny
from tfmp.tuner import BudgetTuner, register_strategy, strategies

ORACLES = {
    "grid": lambda: oracles.GridSearchOracle("val_accuracy"),
    "random": lambda: oracles.RandomSearchOracle("val_accuracy", max_trials=5, seed=3),
}


def main(directory, oracle, death):
    directory = pathlib.Path(directory)

    def noted(run):
        with open(directory / "started", "a", encoding="utf-8") as file:
            file.write(f"{run.budget.like_uniform} {run.values['learning_rate']}\n")
        if death != "never" and len((directory / "started").read_text().splitlines()) == 3:
            os.kill(os.getpid() if death == "worker" else int((directory / "chief").read_text()), signal.SIGKILL)
        return strategies.get("uniform")(run)

    if os.environ.get("KERASTUNER_TUNER_ID") == "chief":
        (directory / "chief").write_text(str(os.getpid()))
    register_strategy("noted", noted)
    hypermodel = tiny.hypermodel(strategies=["noted"], choices={"learning_rate": [0.1, 0.2, 0.3]}, finetune_epochs=0)
    tiny.search(BudgetTuner(hypermodel, ORACLES[oracle](), directory=directory, overwrite=True))


if __name__ == "__main__":
    tf.config.run_functions_eagerly(True)  # compiling would take far longer than two steps
    main(*sys.argv[1:])
