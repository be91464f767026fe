import json

import pytest

from recipes import budget_front, experiment, strategy_areas


def point(strategy, bitops, accuracy):
    return {"id": "0", "strategy": strategy, "bitops": bitops, "val_accuracy": accuracy}


def test_areas_are_shares_of_one_rectangle_for_all_strategies(tmp_path):
    points = [point("mixed", 2.0, 0.9), point("uniform", 5.0, 0.8), point("uniform", 2.0, 0.6)]
    record = {"points": points, "dearest_bitops": 10.0}
    front, areas = strategy_areas.front_of(record), strategy_areas.strategy_areas(record)
    assert areas == {"mixed": pytest.approx(8 * 0.3 / (10 * 0.4)), "uniform": pytest.approx(5 * 0.2 / (10 * 0.4))}
    assert len(front.points) == 3


@pytest.mark.parametrize("name", ["budget_front", "budget_front_cifar10"])
def test_configurations_have_every_setting(name):
    config = experiment.load_config(name)
    needed = {"title", "data", "budgets", "strategies", *budget_front._CHOICES, *budget_front._RATES}
    assert needed <= set(config) and config["data"] in budget_front._DATA


@pytest.mark.slow
def test_a_run_trains_every_strategy_within_every_budget(tmp_path):
    config = experiment.load_config("budget_front")
    settings = ['strategies=["uniform"]', "budgets=[[2,2]]", "float_epochs=0", "search_epochs=1", "finetune_epochs=0"]
    settings += ["batch_size=256"]
    folders = tmp_path / "work", tmp_path / "budget_front"
    ((method, run),) = experiment.plan(budget_front.METHODS, config, settings=settings, folders=folders)
    experiment.execute(method, run)
    record = json.loads(run.path.read_text())
    (found,) = record["points"]
    assert found["strategy"] == "uniform" and 0 < found["bitops"] < record["dearest_bitops"] and not record["failed"]
    budget_front.finish(run.results_dir, tmp_path / "figures")
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".png", ".svg"}
    assert len(list((run.results_dir / "fronts").iterdir())) == 2
