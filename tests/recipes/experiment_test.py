import json
import pathlib
import subprocess
import sys

import pytest

from recipes import experiment


def planned(methods, config, folder, **arguments):
    return list(experiment.plan(methods, config, folders=(folder / "work", folder / "results"), **arguments))


def test_runs_are_named_by_what_the_command_line_changes(tmp_path):
    pairs = planned(
        {"float": None, "mixed": None},
        {"bits": [2, 2], "relaxation": "gumbel", "epochs": 3},
        tmp_path,
        seeds=(0, 7),
        settings=["bits=[3, 1]", "relaxation=softmax"],
        naming={"float": lambda config: f"float-epochs={config['epochs']}"},
    )
    names = [run.path.name for _, run in pairs]
    suffix = "-bits=[3, 1]-relaxation=softmax"
    assert names == [f"{name}-seed{seed}.json" for seed in (0, 7) for name in ("float-epochs=3", f"mixed{suffix}")]
    assert pairs[1][1].config == {"bits": [3, 1], "relaxation": "softmax", "epochs": 3}


def test_a_configuration_takes_what_it_leaves_out_from_its_base_and_names_runs(tmp_path):
    (tmp_path / "base.json").write_text(json.dumps({"a": 1, "b": 2, "runs": {"other": {"method": "train"}}}))
    runs = {"first": {"method": "train", "a": 3}, "train": {"method": "train"}}
    (tmp_path / "own.json").write_text(json.dumps({"base": str(tmp_path / "base.json"), "b": 4, "runs": runs}))
    config = experiment.load_config(tmp_path / "own.json")
    pairs = planned({"train": "method", "unused": None}, config, tmp_path)
    assert [(method, run.name, run.config) for method, run in pairs] == [
        ("method", "first", {"a": 3, "b": 4}),
        ("method", "train", {"a": 1, "b": 4}),
    ]
    # The command line goes before what a run says.
    ((_, run),) = planned({"train": "method"}, config, tmp_path, names=["first"], settings=["a=5"])
    assert (run.name, run.config["a"]) == ("first-a=5", 5)


def test_finished_runs_are_skipped_and_found_by_others(tmp_path, capsys):
    calls = []

    def search(run):
        calls.append(run.name)
        return {"accuracy": 0.5, "bits": run.config["bits"]}

    def retrained(run):
        return {"bits": run.result_of("search")["bits"]}

    methods = {"search": search, "retrained": retrained}
    for _ in range(2):
        for method, run in planned(methods, {"bits": 2}, tmp_path, settings=["bits=4"], seeds=[1]):
            experiment.execute(method, run)
    assert calls == ["search-bits=4"]
    record = json.loads((tmp_path / "results" / "retrained-bits=4-seed1.json").read_text())
    assert (record["method"], record["seed"], record["bits"], record["config"]) == ("retrained", 1, 4, {"bits": 4})
    assert set(record["versions"]) == {"tfmp", "keras", "tensorflow"} and record["seconds"] >= 0
    assert capsys.readouterr().out.count("exists, skipped") == 2
    with pytest.raises(FileNotFoundError, match="run `search` with the same settings first"):
        experiment.execute(retrained, planned(methods, {"bits": 2}, tmp_path, names=["retrained"])[0][1])


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Runs are train. Received: 'trian'"):
        planned({"train": None}, {"a": 1}, tmp_path, names=["trian"])
    for wrong in ("b=1", "a"):
        with pytest.raises(ValueError, match="key=value with a key of a"):
            planned({"train": None}, {"a": 1}, tmp_path, settings=[wrong])


def test_runs_change_only_settings_that_their_configuration_has():
    for path in sorted(experiment.CONFIGS.rglob("*.json")):
        config = experiment.load_config(path)
        known = set(config) - {"runs"}
        for name, changes in config.get("runs", {}).items():
            assert set(changes) <= known | {"method"}, (path.stem, name)


RECIPE = """
from recipes import experiment
from absl import flags
import recipes.keras_applications, recipes.resnet8_cifar10, recipes.results_table, recipes.without_training
assert "seeds" not in flags.FLAGS and "networks" not in flags.FLAGS
experiment.main("resnet8_cifar10", {"measure": lambda run: {"accuracy": run.config["batch_size"] + run.seed}},
                finish=lambda folder, pictures: print("finished", sorted(p.name for p in folder.iterdir()), pictures))
"""


@pytest.mark.slow
def test_recipes_can_be_imported_together_and_run_from_the_command_line(tmp_path):
    command = [sys.executable, "-c", RECIPE, "--seeds=1,2", "--set=batch_size=10", "--set=width=0.5"]
    root = pathlib.Path(__file__).resolve().parents[2]
    done = subprocess.run([*command, f"--results_dir={tmp_path}"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = [f"measure-batch_size=10-width=0.5-seed{seed}.json" for seed in (1, 2)]
    assert f"finished {names} {tmp_path / 'figures'}" in done.stdout
    assert [json.loads((tmp_path / name).read_text())["accuracy"] for name in names] == [11, 12]
