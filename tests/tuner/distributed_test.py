import collections
import pathlib
import subprocess
import sys

import pytest

from tfmp.tuner import WorkerPool
from tfmp.tuner.project import Project

ROOT = pathlib.Path(__file__).resolve().parents[2]


def search(directory, oracle, *, num_workers=0, death="never"):
    directory.mkdir()
    command = [sys.executable, "-m", "tests.tuner.worker", str(directory), oracle, death]
    if num_workers:
        WorkerPool(command, num_workers, environment={"PYTHONPATH": str(ROOT)}).run()
    else:
        subprocess.run(command, cwd=ROOT, check=True)
    records = Project(directory / "budgets").records()
    assert all(record.is_completed for record in records), [record.reason for record in records]
    found = {(record.budget, record.values["learning_rate"]): record for record in records}
    assert len(found) == len(records), "none twice"
    return found, collections.Counter((directory / "started").read_text().splitlines())


@pytest.mark.parametrize(
    ("oracle", "death"),
    [
        pytest.param("grid", "worker", id="grid"),
        pytest.param("random", "never", marks=pytest.mark.slow, id="random"),
        pytest.param("random", "chief", marks=pytest.mark.slow, id="chief"),
    ],
)
def test_two_workers_finish_what_one_does_whoever_is_killed(oracle, death, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    alone, _ = search(tmp_path / "alone", oracle)
    together, starts = search(tmp_path / "together", oracle, num_workers=2, death=death)
    assert set(together) == set(alone), "none is lost"
    for key, record in together.items():
        expected = alone[key].metrics
        assert {name: pytest.approx(value) for name, value in expected.items()} == dict(record.metrics)
        assert dict(record.bits) == dict(alone[key].bits)
    losses = {round(record.metrics["val_loss"], 6) for record in together.values()}
    assert len(losses) == len(together), "trials that learned at other rates and bits are told apart"
    repeated = 1 if death == "worker" else 0
    assert sorted(starts.values()) == [1] * (len(alone) - repeated) + [2] * repeated, "no other trial is run again"
    assert {record.worker for record in together.values()} <= {"worker0", "worker1"}
