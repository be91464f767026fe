import collections
import pathlib
import sys

import pytest

from tests.tuner import worker
from tfmp.tuner import WorkerPool
from tfmp.tuner.project import Project

pytestmark = pytest.mark.usefixtures("eagerly")

ROOT = pathlib.Path(__file__).resolve().parents[2]


def search(directory, oracle, *, num_workers=0, death="never"):
    directory.mkdir()
    command = [sys.executable, "-m", "tests.tuner.worker", str(directory), oracle, death]
    if num_workers:
        WorkerPool(command, num_workers, environment={"PYTHONPATH": str(ROOT)}).run()
    else:
        worker.main(directory, oracle, death)
    records = Project(directory / "budgets").records()
    assert all(record.is_completed for record in records), [record.reason for record in records]
    found = {(record.budget, record.values["learning_rate"]): record for record in records}
    assert len(found) == len(records), "none twice"
    return found, collections.Counter((directory / "started").read_text().splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("oracle", "num_workers", "death"),
    [
        pytest.param("grid", 1, "never", id="one worker"),
        pytest.param("grid", 2, "worker", id="grid"),
        pytest.param("random", 2, "never", id="random"),
        pytest.param("random", 2, "chief", id="chief"),
    ],
)
def test_workers_finish_what_one_process_does_whoever_is_killed(oracle, num_workers, death, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    alone, _ = search(tmp_path / "alone", oracle)
    together, starts = search(tmp_path / "together", oracle, num_workers=num_workers, death=death)
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
