"""The record of one trial, as JSON, and the metrics in it besides accuracy."""

import dataclasses

import pytest

import tfmp
from tests.tuner import tiny_experiment as tiny
from tfmp import costs
from tfmp.simulator import Hardware
from tfmp.tuner import BudgetRange, BudgetTuner
from tfmp.tuner.trial_record import cost_text, measured_costs, quantity_name

FASTER, SLOWER = (
    dataclasses.replace(Hardware.from_preset("bit_fusion"), dram_bits_per_cycle=bits) for bits in (1024, 16)
)


def milliseconds(price):
    return costs.Function(lambda shape, w, a: w * a, name=f"{price}_ms", unit="ms")


@pytest.mark.parametrize(
    ("cost", "quantity", "text"),
    [
        pytest.param("energy", "energy_nj", "energy", id="name"),
        pytest.param(costs.Energy("bit_fusion"), "energy_nj", "energy", id="default"),
        pytest.param(costs.Energy(batch=1), "energy_nj:batch=1", "energy:batch=1", id="settings"),
        pytest.param(costs.TFLiteBytes("fast"), "tflite_bytes:mode=fast", "tflite_bytes:mode=fast", id="no dataclass"),
        pytest.param(
            costs.ModelSize(kernels_only=True),
            "model_size_bits:kernels_only=true",
            "model_size:kernels_only=true",
            id="flag",
        ),
        pytest.param(milliseconds("own"), "own_ms", "own_ms", id="own"),
        pytest.param(
            costs.Table({"middle": {(2, 2): 1.0}}, unit="nJ", name="energy"),
            "energy_nj:Table",
            "energy:Table",
            id="taken",
        ),
    ],
)
def test_a_name_is_of_one_cost_alone(cost, quantity, text):
    assert (quantity_name(cost), cost_text(cost)) == (quantity, text)


def test_other_hardware_has_another_name():
    names = [quantity_name(costs.SimulatedLatency(hardware)) for hardware in (FASTER, SLOWER)]
    assert len({*names, "latency_cycles"}) == 3
    assert all(name.startswith("latency_cycles:hardware=bit_fusion-") for name in names)


def test_what_a_budget_bounds_replaces_nothing():
    fixed = tfmp.fix(tfmp.relax(tiny.build(), **tiny.BITS), {"middle": (2, 2)})
    single = costs.Energy(batch=1)
    measured = measured_costs(fixed, tfmp.Budget(single, limit=1e9))
    usual = measured_costs(fixed, tfmp.Budget("energy", limit=1e9))
    assert measured == usual | {"energy_nj:batch=1": tfmp.cost(fixed, single)}
    assert usual["energy_nj"] == tfmp.cost(fixed, "energy") != tfmp.cost(fixed, single)


def test_an_experiment_is_that_of_its_costs(tmp_path):
    def tuner(cost, name):
        hypermodel = tiny.hypermodel(budgets=[tfmp.Budget(cost, like_uniform=(2, 2))])
        return BudgetTuner(hypermodel, directory=tmp_path, project_name=name)

    prices = {(w, a): w + a for w in (1, 2) for a in (1, 2)}
    expensive = {pair: 2 * price for pair, price in prices.items()}
    tables = [costs.Table({"middle": each}, unit="ms", others=0) for each in (prices, prices, expensive)]
    for name, (first, same, other) in {
        "hardware": ["simulated_latency", costs.SimulatedLatency(), costs.SimulatedLatency(SLOWER)],
        "table": tables,
    }.items():
        tuner(first, name)
        tuner(same, name)
        with pytest.raises(ValueError, match="belongs to another experiment. hypermodel.space"):
            tuner(other, name)
    ranges = [tiny.hypermodel(budgets=BudgetRange(table)).identity()["space"] for table in tables]
    assert ranges[0] == ranges[1] != ranges[2] and "0x" not in str(ranges)


def test_two_hardwares_at_one_limit_are_two_budgets():
    budgets = [tfmp.Budget(costs.SimulatedLatency(each), limit=1e6) for each in (FASTER, "bit_fusion")]
    assert tiny.hypermodel(budgets=budgets).space_size == 2
    tables = [costs.Table({"middle": {(2, 2): price}}, unit="ms", others=0) for price in (1, 2)]
    bits = {"weight_bits": (2,), "activation_bits": (2,)}
    with pytest.raises(ValueError, match="record two different costs as 'table'. Give one of them another `name`"):
        tiny.hypermodel(budgets=[tfmp.Budget(table, limit=9) for table in tables], choices=bits)
