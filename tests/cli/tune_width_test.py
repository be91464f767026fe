import argparse

import numpy as np
import pytest

import tfmp
from tests.tuner import dual_precision_search_test as small
from tfmp import cli
from tfmp.cli import tune_width
from tfmp.tuner import dual_precision_hyper_model
from tfmp.tuner.project import Project

pytestmark = pytest.mark.usefixtures("eagerly")
FUNCTION = "tests.tuner.dual_precision_search_test:network"


@pytest.fixture
def folder(tmp_path):
    """A model and data for it."""
    data = small.data()
    x_test, y_test = data["validation_data"]
    np.savez(tmp_path / "data.npz", x_train=data["x"], y_train=data["y"], x_test=x_test, y_test=y_test)
    small.network(1.0).save(tmp_path / "model.keras")
    return tmp_path


def tune(folder, model, *arguments):
    files = [model, str(folder / "data.npz"), str(folder / "tuning")]
    own = ["--strategy=dual_precision", "--loss=logits", "--search_epochs=1", "--finetune_epochs=0", "--tolerance=0.2"]
    return cli.main(["tune", *files, *own, *arguments])


@pytest.mark.slow  # dual_precision_search_test has both stages, tune_test how a command goes on
@pytest.mark.parametrize("model", [FUNCTION, "model.keras"], ids=["function", "file"])
def test_one_command_selects_and_goes_on(folder, capsys, model):
    model = str(folder / model) if model != FUNCTION else model
    bits = ["--weight_bits=1,8", "--depthwise_bits=8", "--sizes=1,0.5"]
    assert tune(folder, model, *bits) == 0
    printed = capsys.readouterr().out
    front = tfmp.reports.ParetoFront.from_json(folder / "tuning" / "front.json")
    assert [(point["size_of"], point["depthwise_bits"]) for point in front.points] == [(1.0, 8), (1.0, 8), (0.5, 8)]
    best = max(front.points[:2], key=lambda point: point["val_accuracy"])["weight_bits"]
    assert front.points[2]["weight_bits"] == best
    assert printed.endswith(f"chosen weight bits: {best}\nchosen depthwise bits: 8\n")
    assert tune(folder, model, *bits) == 1
    assert "Pass --resume to continue it, or --overwrite" in capsys.readouterr().err
    assert tune(folder, model, *bits, "--resume") == 0
    assert tfmp.reports.ParetoFront.from_json(folder / "tuning" / "front.json") == front


def test_nothing_is_overwritten_by_a_command_that_fails(folder, capsys):
    names = ("first", "precisions")
    for name in names:
        Project(folder / "tuning" / name).open({})
    assert tune(folder, FUNCTION, "--weight_bits=1,1", "--overwrite") == 1
    assert "one or more different weight_bits" in capsys.readouterr().err
    assert all(Project(folder / "tuning" / name).is_experiment for name in names)


def test_trials_that_failed_are_shown(folder, capsys, monkeypatch):
    def failing(model, weight_bits, **arguments):
        if weight_bits == 8:
            raise ValueError("no such bits")
        return tfmp.width.dual_precision(model, weight_bits=weight_bits, **arguments)

    monkeypatch.setattr(dual_precision_hyper_model, "dual_precision", failing)
    assert tune(folder, FUNCTION, "--weight_bits=1,8", "--depthwise_bits=4", "--sizes=1") == 0
    printed = capsys.readouterr()
    assert "failed, of bits 8 and 4 depthwise: " in printed.err and "no such bits" in printed.err
    assert printed.out.endswith("chosen weight bits: 1\nchosen depthwise bits: 4\n")


@pytest.mark.slow
def test_workers_run_both_stages(folder):
    bits = ["--weight_bits=1,8", "--depthwise_bits=8", "--sizes=1,0.5"]
    assert tune(folder, str(folder / "model.keras"), *bits, "--workers=2") == 0
    front = tfmp.reports.ParetoFront.from_json(folder / "tuning" / "front.json")
    assert [point["size_of"] for point in front.points] == [1.0, 1.0, 0.5]


@pytest.mark.parametrize("name", ["digits_cnn", "resnet8"])
def test_networks_keep_their_ends_on_request(name):
    data = {"x_train": np.zeros((2, 8, 8, 1)), "y_train": np.arange(3)}
    ends = {}
    for fixed_ends in (True, False):
        arguments = argparse.Namespace(model=name, loss="logits", fixed_ends=fixed_ends)
        model = tune_width._builder(arguments, data)(0.5)
        ends[fixed_ends] = model.get_layer("stem").filters, tuple(model.get_layer("classifier").kernel.shape)
    assert ends == {True: (16, (64, 3)), False: (8, (32, 3))}


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        ("resnet20", ["--loss=probabilities"], "pass --loss=logits for 'resnet20'"),
        ("tests.nowhere:network", [], "Expected module:function, which returns a model given a width. No module named"),
        (FUNCTION, ["--fixed_ends"], "--fixed_ends is for networks of tfmp.networks and for files"),
        (FUNCTION, ["--activation_bits=2,4"], "takes one number of --activation_bits"),
        (FUNCTION, ["--budget=bitops=2,2"], "uses --sizes instead of budgets"),
        (FUNCTION, ["--strategy=mixed,dual_precision"], "cannot be combined with other strategies"),
        ("nothing.keras", [], "There is no file 'nothing.keras'"),
        (FUNCTION, ["--max_trials=4"], "--max_trials has no effect with --strategy=dual_precision"),
        (FUNCTION, ["--oracle=grid"], "--oracle has no effect with"),
        (FUNCTION, ["--x=energy_nj"], "--x has no effect with"),
        (FUNCTION, ["--warm_start"], "--warm_start has no effect with"),
        (FUNCTION, ["--resume"], "has no run to resume"),
    ],
    ids=["loss", "module", "ends", "bits", "budget", "strategy", "file", "trials", "oracle", "x", "warm", "resume"],
)
def test_errors_are_one_line(folder, capsys, model, arguments, message):
    assert tune(folder, model, *arguments) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (folder / "tuning").exists()
