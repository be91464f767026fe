import keras_tuner
import pytest

from tfmp.tuner.progress import Progress
from tfmp.tuner.project import Project
from tfmp.tuner.trial_record import TrialRecord


def record(trial_id, accuracy=None, reason=""):
    metrics = {} if accuracy is None else {"val_accuracy": accuracy}
    status = "failed" if reason else "completed"
    return TrialRecord(trial_id, status, {}, "mixed", "bitops like 2,2", metrics=metrics, reason=reason)


def test_lines_say_trial_best_and_time_left(tmp_path):
    project = Project(tmp_path)
    project.write_record(record("0", 0.5))
    progress = Progress(project, 5, keras_tuner.Objective("val_accuracy", "max"))
    project.write_record(record("1", 0.75))
    assert progress.line("1", 60) == (
        "trial 1, 2 of 5; mixed, bitops like 2,2; val_accuracy 0.75; best 0.75 (trial 1); 3 min left"
    )
    project.write_record(record("2", reason="ValueError: no\nmore"))
    assert "failed: ValueError: no; best 0.75 (trial 1); 60 s left" in progress.line("2", 60)
    assert progress.line("2", 36000).endswith("10.0 h left")


@pytest.mark.parametrize("direction", ["min", "max"])
def test_best_is_what_the_oracle_looks_for(direction, tmp_path):
    project = Project(tmp_path)
    for trial_id, accuracy in (("0", 0.5), ("1", 0.25)):
        project.write_record(record(trial_id, accuracy))
    line = Progress(project, None, keras_tuner.Objective("val_accuracy", direction)).line("0", 1)
    assert line.endswith("best 0.25 (trial 1)" if direction == "min" else "best 0.5 (trial 0)")
