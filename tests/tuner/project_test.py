import errno
import os

import pytest

import tfmp.tuner.project as module
from tests.tuner import tiny_experiment as tiny
from tfmp.files import atomic_file
from tfmp.tuner import BudgetTuner
from tfmp.tuner.project import FolderError, Project
from tfmp.tuner.trial_record import TrialRecord

pytestmark = pytest.mark.usefixtures("eagerly")

IDENTITY = {"hypermodel": {"seed": 0, "space": {"budgets": [1, 2]}}}


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_it_is_taken_up_by_the_same_experiment_alone(tmp_path):
    Project(tmp_path / "a" / "b").open(IDENTITY)
    Project(tmp_path / "a" / "b").open(IDENTITY)
    changed = {"hypermodel": {"seed": 0, "space": {"budgets": [1, 3], "width": 2}}}
    with pytest.raises(ValueError, match=r"budgets: \[1, 2\] then, \[1, 3\] now; .*width: 'nothing' then, 2 now"):
        Project(tmp_path / "a" / "b").open(changed)
    Project(tmp_path / "a" / "b").open(changed, overwrite=True)
    Project(tmp_path / "a" / "b").open(changed)


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_something_else_stay(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(ValueError, match="has other files: thesis.tex. Choose another"):
        Project(tmp_path).open(IDENTITY, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_overwriting_removes_nothing_of_anybody_else(tmp_path):
    project = Project(tmp_path)
    project.open(IDENTITY)
    for name in ("trial_0000/record.json", "trial_0000/fixed.keras", "float/width=1/model.keras", "tuner0.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    theirs = ["thesis.txt", "trial_0000/notes.txt", "float/weights.npy", "trial_list.json", "front.txt", ".hidden.tmp"]
    for name in theirs:
        (tmp_path / name).write_text(name)
    project.open(IDENTITY | {"more": 1}, overwrite=True)
    assert project.records() == []
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert [name for name in left if not name.startswith("locks")] == sorted([*theirs, "experiment.json"])
    assert all((tmp_path / name).read_text() == name for name in theirs)
    assert not (tmp_path / "float" / "width=1").exists()


def test_what_is_searched_is_not_overwritten(tmp_path):
    Project(tmp_path).open(IDENTITY)
    with (
        Project(tmp_path).locks.searching(),
        pytest.raises(ValueError, match="Another process searches in the folder.*Wait for it, or end it"),
    ):
        Project(tmp_path).open({}, overwrite=True)
    Project(tmp_path).open(IDENTITY)


def test_the_experiment_of_another_program_stays(tmp_path):
    (tmp_path / "experiment.json").write_text('{"format": "physics"}')
    with pytest.raises(ValueError, match="Received another file's format"):
        Project(tmp_path).open(IDENTITY, overwrite=True)
    assert (tmp_path / "experiment.json").read_text() == '{"format": "physics"}'


def test_a_folder_that_cannot_be_written_is_an_error_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="Nothing was trained. Choose another `directory`.*file"):
        Project(tmp_path / "file" / "below").open(IDENTITY)

    def refuse(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(atomic_file.tempfile, "TemporaryFile", refuse)
    with pytest.raises(OSError, match="Read-only file system. Nothing was trained"):
        Project(tmp_path / "new").open(IDENTITY)


def test_too_little_space_is_an_error_before_training(tmp_path):
    with pytest.raises(OSError, match="Nothing was trained") as caught:
        Project(tmp_path).open(IDENTITY, trial_bytes=1 << 60)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("place", ["record", "model"])
def test_a_disk_that_fills_up_ends_the_search_and_keeps_what_there_is(tmp_path, monkeypatch, place):
    hypermodel = tiny.hypermodel(strategies=["untrained"])
    tiny.search(BudgetTuner(hypermodel, directory=tmp_path, max_trials=1))
    tuner = BudgetTuner(hypermodel, directory=tmp_path, max_trials=2)
    with monkeypatch.context() as patched:
        target, name = (module.TrialRecord, "write") if place == "record" else (atomic_file.os, "replace")
        patched.setattr(target, name, full)
        with pytest.raises(FolderError if place == "record" else OSError, match="No space left"):
            tiny.search(tuner)
    resumed = BudgetTuner(hypermodel, directory=tmp_path, max_trials=2)
    assert [record.trial_id for record in resumed.records()] == ["0"]
    tiny.search(resumed)
    assert [record.trial_id for record in resumed.records()] == ["0", "1"]
    assert not list(tmp_path.rglob("*.tmp.keras")), "nothing half-written stays"


def test_records_are_read_as_they_were_written(tmp_path):
    record = TrialRecord("0", "completed", {"budget": "a"}, strategy="mixed", metrics={"bitops": 1e9 + 1}, seconds=0.5)
    project = Project(tmp_path)
    project.write_record(record)
    assert project.records() == [record] == [project.record("0")] and project.record("1") is None
    assert record.as_point()["bitops"] == 1e9 + 1 and record.as_point()["id"] == "0"


def test_the_float_model_is_trained_once(tmp_path):
    trained = []

    def train():
        trained.append(1)
        return tiny.build()

    for _ in range(2):
        model, metrics = Project(tmp_path).float_model(1.0, train, lambda model: {"val_loss": 0.5})
        assert metrics == {"val_loss": 0.5} and model.get_layer("middle").units == 8
    assert len(trained) == 1


def test_a_killed_training_of_the_float_model_is_begun_anew(tmp_path):
    def die():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Project(tmp_path).float_model(1.0, die, dict)
    assert Project(tmp_path).float_model(1.0, tiny.build, lambda model: {})[1] == {}
