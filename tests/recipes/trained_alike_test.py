import json

import pytest

from recipes import experiment, post_training, trained_alike, trained_tables


@pytest.mark.slow
@pytest.mark.usefixtures("small_float_network")
def test_ways_of_a_cell_train_networks_of_equal_cost(tmp_path, capsys):
    config = experiment.load_config("trained_alike")
    settings = ["batch_size=16", "num_train=64", "num_calibration=16", "epochs=3", "search_epochs=2", "scores=gradient"]
    ways = ("uniform", "depthwise_8", "ilp", "random", "search", "sampled_from_scores")
    names = ["mobilenet_v1-float", *(f"mobilenet_v1-W4A8-{way}" for way in ways)]
    folders = tmp_path / "work", tmp_path / "results"
    plan = experiment.plan(trained_alike.METHODS, config, names=names, settings=settings, folders=folders)
    for method, run in plan:
        experiment.execute(method, run)
    records = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("*.json")]
    records = {record["method"].split("-")[-1]: record for record in records}
    assert set(records) == {"float", *ways}
    assert records["uniform"]["bits"] == {"depthwise": [4, 8], "pointwise": [4, 8]}
    assert records["depthwise_8"]["bits"]["depthwise"] == [8, 8]
    for way in ways:
        assert records[way]["cost"] <= records["uniform"]["cost"]
        assert 0 <= records[way]["file_accuracy"] <= 1 and records[way]["file_bytes"] > 0
    assert len(records["search"]["search_history"]["selection_entropy"]) == 2
    trained_alike.show(tmp_path / "results", None)
    printed = capsys.readouterr().out
    assert "| mobilenet_v1 | W4A8 | ilp | 0 |" in printed and "| mobilenet_v1 |  | float | 0 |" in printed


def test_differences_are_paired_by_seed():
    accuracies = {("a-W3A8-uniform", 0): 0.80, ("a-W3A8-uniform", 1): 0.82}
    accuracies |= {("a-W3A8-ilp", 0): 0.81, ("a-W3A8-ilp", 1): 0.85, ("a-W3A8-ilp", 2): 0.9}
    records = {
        f"{name}-seed{seed}": {"method": name, "seed": seed, "accuracy": value, "start_accuracy": 0.5}
        for (name, seed), value in accuracies.items()
    }
    _, (uniform, ilp) = trained_tables.trained_alike(records)
    assert uniform == ["a", "W3A8", "uniform", "0, 1", "50.00", "81.00", "", "", "-2.00 ± 12.71"]
    # Two differences, 1 and 3: their standard error is 1, and the quantile of t with one degree of freedom 12.71.
    assert ilp == ["a", "W3A8", "ilp", "0, 1, 2", "50.00", "85.33", "", "+2.00 ± 12.71", ""]


def test_the_table_of_post_training_has_a_row_per_network_bits_and_assignment():
    def record(seed, assignment, accuracy):
        levels = {name: {"accuracy": accuracy, "file_bytes": 1000 + seed} for name in post_training.LEVELS}
        found = {"network": "a", "bits": [4, 8], "assignment": assignment, "seed": seed, "float_accuracy": 0.9}
        return found | {"levels": levels}

    records = {"0": record(0, "ilp", 0.8), "1": record(1, "ilp", 0.82), "2": record(0, "uniform", 0.7)}
    _, (uniform, ilp) = trained_tables.post_training(records)
    assert uniform == ["a", "W4A8", "uniform", "0", "90.00", "70.00", "70.00", "70.00", "", "1,000"]
    assert ilp == ["a", "W4A8", "ilp", "0, 1", "90.00", "81.00", "81.00", "81.00", "2.00", "1,000"]
    _, (row,) = trained_tables.post_training_summary(records)
    assert row == ["a", "W4A8", "90.00", "70.00", "", "81.00"]


def test_the_table_of_forecasts_ends_with_the_rank_correlation():
    def record(predicted, realized, accuracy):
        of_bits = {"ilp": {"accuracy": 0.8}, "uniform": {"accuracy": accuracy}}
        gains = {"predicted_gain": {"uniform": predicted}, "realized_gain": {"uniform": realized}}
        return {"network": "a", "bits": [4, 8], "realized": of_bits, **gains}

    _, rows = trained_tables.forecast({"0": record(2, 1.5, 0.79), "1": record(1, 1.0, 0.8), "2": record(9, 4.0, 0.7)})
    assert rows[0] == ["a", "W4A8", "uniform", "2.00", "1.50", "+1.00"]
    assert rows[-1][:4] == ["rank correlation", "", "3 pairs", "1.00"]
