"""Forecasts against harms of a known form, and their reports."""

import numpy as np
import pytest

import tfmp
from tests.assign.baselines_test import INPUT_BITS, NAMES, network
from tests.small_graphs import CONV, DENSE, chain, layer, selection
from tfmp.assign.forecasting import forecast_row, uniform_budgets
from tfmp.reports import Forecast, ForecastRow
from tfmp.search import SearchedCost

BITS = (2, 3, 4, 5, 6, 8)


def layers_of(*shapes):
    """Layers whose kernels alone have a choice."""
    return chain(*(layer(shape, selection(BITS), selection((8,), signed=False)) for shape in shapes))


def harms_of(graph, scales):
    """The harm of rounding, s 4^-b."""
    return {name: np.array([[scale * 4.0**-b] for b in BITS]) for name, scale in scales.items()}


def test_the_gain_is_that_of_the_arithmetic_over_the_geometric_mean():
    """With harm s 4^-b at price c, the best real bits have equal harm per price, at any budget."""
    sizes = {f"layer_{i}": 16 for i in range(24)}
    shapes = [tfmp.graph.LayerShape(n, "dense", in_channels=s, out_channels=10) for n, s in sizes.items()]
    graph = layers_of(*shapes)
    scales = dict(zip(sizes, np.random.default_rng(0).exponential(size=24) ** 1.5 + 0.05, strict=True))
    row = forecast_row(graph, harms_of(graph, scales), tfmp.Budget("model_size", like_uniform=(4, 8)))
    expected = np.mean([*scales.values()]) / np.exp(np.mean(np.log([*scales.values()])))
    assert row.uniform == pytest.approx(sum(scales.values()) * 4.0**-4) and row.uniform_bits == (4, 0)
    # Whole bits lose a little to real ones.
    assert 0.8 * expected < row.gain <= expected * (1 + 1e-9)
    assert row.depthwise_8 is None and row.gain_over_depthwise_8 is None


def test_uniform_bits_between_two_pairs_have_the_harm_between():
    graph = layers_of(CONV, DENSE)
    harms = harms_of(graph, {"conv": 1.0, "dense": 2.0})
    priced = SearchedCost(graph, "model_size")
    for share in (0.0, 0.25, 0.5):
        limit = (1 - share) * priced.uniform(3, 8) + share * priced.uniform(4, 8)
        row = forecast_row(graph, harms, tfmp.Budget("model_size", limit=limit + priced.outside))
        assert row.uniform == pytest.approx(3 * 4.0 ** -(3 + share)) and row.uniform_bits == (3, 0)
        assert row.limit == pytest.approx(limit)


def test_depthwise_8_is_compared_where_it_fits():
    graph = network(inputs=(8,))
    bits = (2, 3, 4, 8)
    scales = {"conv": 1.0, "wide": 200.0, "dense": 1.0}
    harms = {name: np.array([[scales[name] * 4.0**-b] for b in bits]) for name in NAMES}
    row = forecast_row(graph, harms, tfmp.Budget("model_size", like_uniform=(4, 8)))
    assert row.mixed <= row.depthwise_8 < row.uniform and row.gain > 5
    tight = forecast_row(graph, harms, tfmp.Budget("model_size", like_uniform=(2, 8)))
    assert tight.depthwise_8 is None and tight.gain == pytest.approx(1) and "nothing to gain" in tight.verdict


def test_the_range_without_budgets_is_that_of_uniform_bits():
    budgets = uniform_budgets(network(), "bitops")
    assert [budget.like_uniform for budget in budgets] == [(2, 2), (4, 4)]
    budgets = uniform_budgets(network(inputs=(8,)), "model_size")
    assert [budget.like_uniform for budget in budgets] == [(2, 8), (3, 8), (4, 8), (8, 8)]
    graph = chain(*(layer(shape, selection((2, 3)), selection((4, 8), signed=False)) for shape in (CONV, DENSE)))
    assert [b.like_uniform for b in uniform_budgets(graph, "bitops")] == [(2, 4), (3, 4), (2, 8), (3, 8)]


def row(mixed, uniform, depthwise=None, pair=(4, 8)):
    return ForecastRow("model_size, W4A8", "model_size", "bits", 1e6, mixed, uniform, pair, depthwise, {"a": (4, 8)})


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (row(0.02, 0.029), "use uniform W4A8: nothing to gain"),
        (row(0.00001, 0.0009), "use uniform W4A8: its harm is negligible"),
        (row(0.0, 0.0), "use uniform W4A8: its harm is negligible"),
        (row(0.01, 0.057), "mixed: about 5.7 times less harm"),
        (row(0.01, 0.057, 0.02), "mixed: about 5.7 times less harm, about 2 times less than depthwise_8"),
        (
            row(0.01, 0.057, 0.012, (4, 0)),
            "use depthwise_8: about 4.8 times less harm than uniform W4, mixed adds nothing",
        ),
        (row(0.01, None, pair=None), "mixed: no uniform bits are within the budget"),
        (row(0.0, 0.1), "mixed: far less harm"),
    ],
)
def test_verdicts(given, verdict):
    assert given.verdict == verdict


def test_a_forecast_is_a_table_and_a_record(tmp_path):
    forecast = Forecast("net", "kl", [row(0.01, 0.057, 0.02), row(0.02, None, pair=None)])
    lines = str(forecast).splitlines()
    assert lines[0] == "Predicted harm of net (kl), more than in floating point:"
    assert lines[1].split() == ["budget", "mixed", "uniform", "depthwise_8", "gain", "verdict"]
    assert lines[2].split()[2:6] == ["0.01", "0.057", "0.02", "5.70"] and lines[3].split()[2:6] == [
        "0.02",
        "-",
        "-",
        "-",
    ]
    text = forecast.to_json(tmp_path / "forecast.json")
    assert Forecast.from_json(tmp_path / "forecast.json") == Forecast.from_json(text) == forecast
    with pytest.raises(ValueError, match="Expected a forecast in JSON"):
        Forecast.from_json(text.replace('"mixed"', '"mix"'))


def test_of_a_sensitivity():
    graph = network()
    shape = (4, len(INPUT_BITS))
    rng = np.random.default_rng(0)
    scores = {
        name: {
            tensor: dict(zip(bits, np.sort(rng.exponential(size=len(bits)))[::-1], strict=True))
            for tensor, bits in (("weights", (2, 3, 4, 8)), ("activations", INPUT_BITS))
        }
        for name in NAMES
    }
    sensitivity = tfmp.Sensitivity(scores, "output", "kl", {}, {"num_samples": 9}, graph=graph)
    assert sensitivity.tables()["conv"].shape == shape
    forecast = sensitivity.forecast()
    assert [row.budget for row in forecast.rows] == ["bitops, W2A2", "bitops, W4A4"] and forecast.error == "kl"
    budget = tfmp.Budget("model_size", like_uniform=(4, 4))
    (one,) = sensitivity.forecast(budget).rows
    assert one.mixed == pytest.approx(sensitivity.harm(sensitivity.assign(budget)))
    assert one.bits == sensitivity.assign(budget).bits
    assert one.uniform == pytest.approx(sensitivity.harm(dict.fromkeys(NAMES, (4, 4))))
    with pytest.raises(TypeError, match="a list of `tfmp.Budget`s, or one"):
        sensitivity.forecast(3)


def test_the_error_of_8_bits_is_a_part_of_every_harm():
    graph, budget = layers_of(CONV, DENSE), tfmp.Budget("model_size", like_uniform=(4, 8))
    harms = harms_of(graph, {"conv": 1.0, "dense": 30.0})
    without, row = (forecast_row(graph, harms, budget, eight_bit_error=error) for error in (0.0, 0.25))
    assert row.bits == without.bits and row.mixed == without.mixed + 0.25 and row.uniform == without.uniform + 0.25
    assert row.gain == (without.uniform + 0.25) / (without.mixed + 0.25) < without.gain
