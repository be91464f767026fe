import collections
import pathlib
import sys

import pytest

from tfmp.tuner import WorkerPool
from tfmp.tuner.project import Project

ROOT = pathlib.Path(__file__).resolve().parents[2]


def search(directory, oracle, *, num_workers=0, death="never"):
    import subprocess

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


@pytest.mark.parametrize("oracle", [pytest.param("grid"), pytest.param("random", marks=pytest.mark.slow)])
def test_two_workers_finish_what_one_does_though_one_is_killed(oracle, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    alone, _ = search(tmp_path / "alone", oracle)
    together, starts = search(tmp_path / "together", oracle, num_workers=2, death="once")
    assert set(together) == set(alone), "none is lost"
    for key, record in together.items():
        expected = alone[key].metrics
        assert {name: pytest.approx(value) for name, value in expected.items()} == dict(record.metrics)
    assert sorted(starts.values()) == [1] * (len(alone) - 1) + [2], "the killed trial was run again, and no other"
    assert {record.worker for record in together.values()} == {"worker0", "worker1"}
