import collections
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

import tfmp
from tfmp.tuner.project import Project

pytestmark = pytest.mark.usefixtures("eagerly")

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUDGETS = {"bitops like 1,1": [1, 1], "bitops like 2,2": [2, 2]}


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [pytest.param(1, id="one"), pytest.param(20, id="twenty", marks=pytest.mark.slow)])
def test_killed_at_random_moments_a_search_ends_as_if_it_had_not_been(rounds, tmp_path):
    command = [sys.executable, "-m", "tests.tuner.killed_tuner", str(tmp_path), str(rounds), str(rounds)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    kills = [int(count) for count in re.findall(r"killed (\d+) times", done.stdout)]
    assert len(kills) == rounds and sum(kills) > 0
    unbroken = Project(tmp_path / "unbroken" / "tuning" / "budgets").records()
    for index in range(rounds):
        check_round(tmp_path / f"round{index}", kills[index], unbroken)


def check_round(folder, kills, unbroken):
    project = Project(folder / "tuning" / "budgets")
    records = project.records()
    assert [record.metrics for record in records] == [record.metrics for record in unbroken]
    assert len({record.metrics["val_loss"] for record in records}) == len(records), "every trial has learned"
    found = sorted((record.budget, record.values["learning_rate"]) for record in records)
    assert found == [(budget, rate) for budget in BUDGETS for rate in ("0.1", "0.2")]
    for record in records:
        assert record.status == "completed", record.reason
        model = project.load_trial_model(record.trial_id)
        assert record.bits == {"middle": BUDGETS[record.budget]}
        assert record.metrics["bitops"] == tfmp.cost(model, "bitops")
    started = collections.Counter((folder / "started").read_text().splitlines())
    tried = {f"{tuple(BUDGETS[budget])} {rate}" for budget, rate in found}
    assert set(started) == tried and started.total() - len(tried) <= kills, "only killed trials are repeated"
    for path in (folder / "tuning" / "budgets").rglob("*.json"):
        json.loads(path.read_text())
    assert not list((folder / "tuning").rglob("*.tmp*")), "what was half-written is gone"
