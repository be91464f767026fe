import re
import sys

import numpy as np
import pytest

import tfmp
from tests.tuner import tiny_experiment as tiny
from tfmp import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A float classifier and data for it."""
    folder = tmp_path_factory.mktemp("tune")
    (x_train, y_train), (x_test, y_test) = tiny.data()
    tiny.build().save(folder / "model.keras")
    np.savez(folder / "data.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return folder


def tune(folder, *arguments):
    files = [str(folder / name) for name in ("model.keras", "data.npz", "tuning")]
    epochs = ["--search_epochs", "1", "--finetune_epochs", "0"]
    return cli.main(["tune", *files, "--loss", "logits", "--strategy", "uniform", *epochs, *arguments])


def test_tune_leaves_a_front_and_goes_on_only_when_told_to(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)  # progress is shown on terminals
    budgets = ["--budget", "bitops=2,2", "--budget", "bitops=3,3"]
    assert tune(folder, *budgets, "--max_trials", "1", "--x", "energy_nj") == 0
    printed = capsys.readouterr()
    assert "trial 0, 1 of 1; uniform, bitops like 2,2; val_accuracy" in printed.err
    assert "1 of 1 points are beaten by no other" in printed.out
    output = folder / "tuning"
    assert {"front.json", "front.csv", "front.png", "front.svg"} <= {path.name for path in output.iterdir()}
    assert "tfmp tune " in (output / "report.html").read_text()
    assert tune(folder, *budgets) == 1
    assert "Pass --resume to continue it, or --overwrite" in capsys.readouterr().err
    assert tune(folder, *budgets, "--resume") == 0
    front = tfmp.reports.ParetoFront.from_json(output / "front.json")
    assert [point["budget"] for point in front.points] == ["bitops like 2,2", "bitops like 3,3"]
    fixed = tfmp.load_model(output / f"trial_{front.points[1]['id']}" / "fixed.keras")
    assert fixed.get_layer("middle").weight_bits == (3,)
    assert tune(folder, "--resume") == 1
    assert "belongs to another experiment" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--strategy", "best"], "`strategy` must be one of 'mixed'", id="strategy"),
        pytest.param(["--minimize", "bitops", "--budget", "bitops=2,2"], "either --budget or --minimize", id="both"),
        pytest.param(["--minimize", "bitops"], "`minimize` needs `max_accuracy_drop`", id="drop"),
        pytest.param(["--oracle", "hyperband", "--max_trials", "3"], "Omit `max_trials`", id="hyperband"),
        pytest.param(["--budget", "bitops=1"], "the cheapest assignment costs", id="budget"),
        pytest.param(["--max_accuracy_drop", "0.1"], "--max_accuracy_drop needs --minimize COST", id="no cost"),
        pytest.param(
            ["--minimize", "bitops", "--max_accuracy_drop", "0.1", "--oracle", "random"],
            "Omit --oracle",
            id="oracle",
        ),
        pytest.param(["--x", "energy"], "--x must be one of val_loss, val_accuracy, .*'energy'", id="x"),
        pytest.param(["--sizes", "1"], "--sizes has no effect without --strategy=dual_precision", id="sizes"),
        pytest.param(["--tolerance", "0.1"], "--tolerance has no effect without", id="tolerance"),
        pytest.param(["--fixed_ends"], "--fixed_ends has no effect without", id="ends"),
        pytest.param(["--resume"], "has no run to resume. Omit --resume", id="resume"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(folder, capsys, arguments, message):
    (folder / "tuning").rename(folder / "kept") if (folder / "tuning").exists() else None
    assert tune(folder, *arguments) == 1
    error = capsys.readouterr().err
    assert re.search(message, error) and error.count("\n") == 1
    assert not (folder / "tuning").exists()


@pytest.mark.parametrize("strategy", ["mixed", "dual_precision"])
def test_a_folder_of_a_tuning_that_was_killed_as_it_began_is_free(folder, tmp_path, capsys, strategy):
    project = tmp_path / "precisions" if strategy == "dual_precision" else tmp_path
    (project / "locks").mkdir(parents=True)
    (project / "locks" / "experiment").touch()
    (project / ".experiment.json.0-1-2.tmp").write_text("{")
    flags = ["--x=no" if strategy == "mixed" else "--budget=bitops=1"]  # an error that comes after

    def error(*more):
        files = [str(folder / "model.keras"), str(folder / "data.npz"), str(tmp_path)]
        assert cli.main(["tune", *files, "--loss=logits", f"--strategy={strategy}", *flags, *more]) == 1
        return capsys.readouterr().err

    assert "has no run to resume. Omit --resume to start one" in error("--resume")
    message = "--x must be one of" if strategy == "mixed" else "uses --sizes instead of budgets"
    assert message in error() and message in error("--overwrite")
    (tmp_path / "thesis.txt").write_text("mine")
    assert "has other files: thesis.txt. Choose another OUTPUT" in error()
    assert "has other files: thesis.txt. Choose another OUTPUT" in error("--overwrite")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--max_trials", "0"], "--max_trials: must be a positive integer. Received: 0", id="trials"),
        pytest.param(["--workers", "-1"], "--workers: must be a positive integer. Received: -1", id="workers"),
        pytest.param(["--tolerance", "0"], "--tolerance: must be a finite number above 0. Received: 0", id="tolerance"),
        pytest.param(["--resume", "--overwrite"], "not allowed with argument --resume", id="both"),
    ],
)
def test_the_parser_refuses(folder, capsys, arguments, message):
    with pytest.raises(SystemExit):
        tune(folder, *arguments)
    assert message in capsys.readouterr().err
