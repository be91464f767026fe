"""Small joint searches that may be killed: `python -m tests.joint.killed_joint_search FOLDER COST DEATH EPOCH`.

COST is `exact` or `reinforce`. DEATH is `never`, `after` (the epoch was saved) or `while_saving` it. The search keeps
its backup in `FOLDER/COST`; one that lives leaves its values in `FOLDER/COST.npz`, its history in `FOLDER/COST.json`.
"""

import json
import os
import pathlib
import signal
import sys

import numpy as np

from tests.joint.joint_search_test import fit, joint_search, values
from tests.search_spaces import ONE
from tfmp.joint.architecture_cost import ArchitectureCost
from tfmp.joint.cost_gradient import Reinforce

EPOCHS = 3


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder, cost, death, epoch):
    folder = pathlib.Path(folder)
    learned = Reinforce(ONE, ArchitectureCost("energy"), samples=3) if cost == "reinforce" else "energy"
    search = joint_search(cost=learned, backup_dir=folder / cost)
    replace = os.replace

    def replace_or_die(source, target):
        if death == "while_saving" and str(target).endswith(f"epoch-{epoch + 1:05d}"):
            die()
        replace(source, target)

    def report(entry):
        if death == "after" and entry["epoch"] == epoch:
            die()

    os.replace = replace_or_die
    fit(search, EPOCHS, report=report)
    np.savez(folder / f"{cost}.npz", *values(search))
    (folder / f"{cost}.json").write_text(json.dumps(search.history), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
