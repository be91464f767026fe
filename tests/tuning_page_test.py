"""The page on tuning runs as printed, with fewer epochs."""

import pathlib
import re

import numpy as np
import pytest

from tests.tuner import tiny_experiment as tiny

pytestmark = pytest.mark.usefixtures("eagerly")
PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "tuning.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def shorter(program):
    program = program.replace("search_epochs=4, finetune_epochs=6", "search_epochs=1, finetune_epochs=0")
    program = program.replace("Training(loss))", "Training(loss, 1, 0))")
    return program.replace("max_accuracy_drop=0.01, minimize", "max_accuracy_drop=1.0, max_trials=1, minimize")


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the programs expect to be there: a model and its data."""
    monkeypatch.chdir(tmp_path)
    tiny.build().save("model.keras")
    (x_train, y_train), (x_test, y_test) = tiny.data()
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def run(program, names):
    exec(compile(program, str(PAGE), "exec"), names)


@pytest.mark.slow  # its tuners are those of budget_tuner_test
def test_the_page_runs_as_printed(names, tmp_path, capsys):
    first, second, *_ = map(shorter, PROGRAMS)
    run(first, names)
    run(second, names)
    assert len(names["front"].points) == 4 and {"front.json", "front.csv", "model.tflite"} <= {
        path.name for path in tmp_path.iterdir()
    }
    capsys.readouterr()
    run(first, names)  # "start the same program again"
    assert not re.search("^trial ", capsys.readouterr().out, flags=re.MULTILINE), "nothing is trained again"


@pytest.mark.slow  # the smallest network is found in oracles_test too
def test_the_smallest_network_is_found_as_printed(names):
    first, _, smallest, *_ = map(shorter, PROGRAMS)
    run(first.partition("hypermodel = ")[0], names)
    run(smallest, names)
    assert names["tuner"].smallest().metrics["tflite_bytes"] > 0


@pytest.mark.slow
def test_the_page_runs_as_printed_on_several_workers(names, tmp_path, monkeypatch):
    np.savez("data.npz", **names)
    monkeypatch.setenv("PYTHONPATH", str(PAGE.parents[1]))
    *_, tune, pool = PROGRAMS
    (tmp_path / "tune.py").write_text(shorter(tune))
    run(pool, found := {})
    assert len(found["results"].pareto().points) == 2
    assert len(PROGRAMS) == 5
