"""Runs that version 0.1.0 interrupted are resumed, or refused where their results would differ."""

import shutil

import numpy as np
import pytest

from tests import golden_runs
from tests.tuner import tiny_experiment as tiny
from tfmp.files import run_identity
from tfmp.tuner.project import Project


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(golden_runs.FOLDER, tmp_path / "runs")


def test_a_tuner_goes_on_after_the_trials_of_its_folder(folder):
    before = Project(folder / "tuner").records()
    tuner = golden_runs.tuner(folder, max_trials=3)
    assert tuner.records() == before and len(before) == 2
    assert {record.budget for record in before} == {"bitops like 2,2", "model_size like 2,2"}
    tiny.search(tuner)
    *others, last = tuner.records()
    assert others == before
    assert last.budget == "tflite_bytes:mode=fast like 2,2"
    for name, value in before[0].metrics.items():  # the same network, which no trial trains
        if name != "tflite_bytes":  # files have become smaller
            assert last.metrics[name] == pytest.approx(value, rel=1e-4), name
    assert last.metrics["tflite_bytes"] <= before[0].metrics["tflite_bytes"]


@pytest.mark.slow
def test_a_joint_search_ends_as_one_that_was_not_interrupted(folder, tmp_path):
    epochs = golden_runs.EPOCHS + 1
    resumed_logs, resumed = golden_runs.joint_search(folder / "joint_search", epochs)
    logs, variables = golden_runs.joint_search(tmp_path / "new", epochs)
    for found, expected in zip(resumed, variables, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert resumed_logs == pytest.approx(logs, rel=1e-4)


def test_a_search_whose_bits_share_a_step_is_refused_because_its_results_differ(folder):
    with pytest.raises(ValueError, match=r"another search. tfmp: '0.1.0' then, '0.2.0' now. .*`backup_dir`"):
        golden_runs.search(folder / "search", golden_runs.EPOCHS + 1)


def test_another_version_is_refused_with_what_to_do(folder, monkeypatch):
    monkeypatch.setattr(run_identity, "SAME_RESULTS_SINCE", "9.0")
    with pytest.raises(ValueError, match=r"another experiment. tfmp: '0.1.0' then, '9.0' now. .*`project_name`"):
        golden_runs.tuner(folder)
    for run in (golden_runs.search, golden_runs.joint_search):
        with pytest.raises(ValueError, match=r"another search. tfmp: '0.1.0' then, '9.0' now. .*`backup_dir`"):
            run(folder / run.__name__, golden_runs.EPOCHS + 1)
