import pathlib

import pytest

from recipes import experiment, float_networks, forecast


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly", "small_float_network")
def test_a_run_predicts_and_realizes_gains(tmp_path, capsys):
    config = experiment.load_config("forecast")
    changes = ["num_calibration=16", "num_test=24", "weight_candidates=[2,4,8]", "scores=gradient"]
    names = ["mobilenet_v1-W4A8"]
    folders = (tmp_path / "work", tmp_path / "results")
    ((method, run),) = experiment.plan(forecast.METHODS, config, names=names, settings=changes, folders=folders)
    record = method(run)
    assert record["assignments"]["uniform"] == {"depthwise": [4, 8], "pointwise": [4, 8]}
    assert record["assignments"]["depthwise_8"]["depthwise"][0] == 8
    for gains in (record["predicted_gain"], record["realized_gain"]):
        assert list(gains) == ["uniform", "depthwise_8"] and min(gains.values()) > 0
    assert record["predicted_gain"]["uniform"] >= 1 and 0 <= record["realized"]["ilp"]["accuracy"] <= 1
    assert record["realized"]["ilp"]["divergence"] > 0 and record["sensitivity_seconds"] is not None
    assert method(run)["sensitivity_seconds"] is None  # the scores are kept
    experiment.execute(method, run)
    forecast.show(tmp_path / "results", None)
    assert "mobilenet_v1   W4A8 over uniform" in capsys.readouterr().out


def test_the_rank_correlation_is_over_all_gains():
    records = [
        {"predicted_gain": {"uniform": 1.0, "depthwise_8": 2.0}, "realized_gain": {"uniform": 0.9, "depthwise_8": 1.5}},
        {"predicted_gain": {"uniform": 3.0}, "realized_gain": {"uniform": 1.4}},
    ]
    correlation, _, count = forecast.rank_correlation(records)
    assert count == 3 and correlation == pytest.approx(0.5)
    assert forecast.rank_correlation(records[1:]) == (None, None, 1)


def test_at_least_ten_pairs_are_planned():
    runs = experiment.load_config("forecast")["runs"]
    assert len(runs) >= 10 and {run["network"] for run in runs.values()} == set(float_networks.names())
    assert all(pathlib.Path(name).name == name for name in runs)
