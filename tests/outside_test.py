"""A user's quantizer, cost, hardware and strategy, without changes to the library."""

import dataclasses
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfmp
from tests.tuner import tiny_experiment as tiny
from tfmp import costs, ops, quantizers, simulator
from tfmp.simulator import hardware as presets
from tfmp.tuner import BudgetTuner, strategies

BITS = {"weight_bits": (3, 4), "activation_bits": (3, 4)}


@dataclasses.dataclass(frozen=True)
class FixedRange(quantizers.Quantizer):
    """Quantizes within a range that nothing moves."""

    limit: float = 1.0
    name: ClassVar[str] = "fixed_range"

    def grid(self, x, state, *, widest=None, channel_axes=None):
        return ops.UniformGrid(tf.constant(self.limit / self.high, x.dtype), self.low, self.high)


class SumOfBits(costs.Cost):
    """Bits of weights and activations of a layer, whatever its size."""

    name, unit = "sum_of_bits", "bits"

    def table(self, shape, weight_formats, activation_formats):
        return np.add.outer(*([format.bits for format in formats] for formats in (weight_formats, activation_formats)))


def four_bits(run):
    """Trains at 4 bits for weights and 2 for activations, whatever the budget."""
    search_model = run.relaxed()
    assignment = tfmp.BitAssignment.uniform(search_model, 4, 2)
    return run.fine_tuned(search_model, assignment, run.epochs), assignment


@pytest.fixture(autouse=True)
def restored_registries(monkeypatch):
    for registry in (quantizers._REGISTRY, costs._REGISTRY, strategies._REGISTRY, presets._presets()):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def data():
    generator = np.random.default_rng(0)
    return generator.random((32, 6)).astype(np.float32), generator.integers(0, 3, 32)


def network():
    x = inputs = keras.Input((6,), name="image")
    for name in ("first", "middle", "last"):
        x = keras.layers.Dense(3 if name == "last" else 8, activation=None if name == "last" else "relu", name=name)(x)
    return keras.Model(inputs, x)


@pytest.mark.default_cases("instance")
@pytest.mark.parametrize("quantizer", [FixedRange, FixedRange(8, limit=0.75)], ids=["class", "instance"])
def test_a_quantizer_and_a_cost_are_searched_fixed_saved_and_exported(quantizer, tmp_path):
    name = quantizers.name_of(quantizer)
    x, y = data()
    search_model = tfmp.relax(network(), quantizer=quantizer, first_and_last="search", calibration=x, **BITS)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    search_model.compile(tfmp.SelectionOptimizer("sgd", "adam"), loss, run_eagerly=True)
    search = tfmp.MixedPrecisionSearch(budget=tfmp.Budget(SumOfBits, like_uniform=(3, 4)))
    search_model.fit(x, y, epochs=2, batch_size=16, callbacks=[search], verbose=0)
    assignment = tfmp.discretize(search_model, strategy="budget", budget=search.budget)
    assert sum(map(sum, assignment.bits.values())) <= 3 * (3 + 4)
    assert tfmp.cost(search_model, SumOfBits(), assignment) == sum(map(sum, assignment.bits.values()))
    fixed = tfmp.fix(search_model, assignment)
    fixed.compile("sgd", loss, run_eagerly=True)
    fixed.fit(x, y, batch_size=16, verbose=0)
    layer = fixed.get_layer("middle")
    assert layer.quantizer == name == layer.get_config()["quantizer"]
    chosen = quantizers.get(quantizer, bits=assignment["middle"][0])
    codes, scale = layer.weight_selector.codes(layer.kernel)
    assert float(scale) == pytest.approx(chosen.limit / chosen.high)
    fixed.save(tmp_path / "fixed.keras")
    again = tfmp.load_model(tmp_path / "fixed.keras")
    np.testing.assert_array_equal(again.predict_on_batch(x), fixed.predict_on_batch(x))
    tfmp.export_tflite(again, tmp_path / "model.tflite", verify=x)
    expected = np.clip(np.rint(np.asarray(layer.kernel, np.float64) / float(scale)), chosen.low, chosen.high)
    np.testing.assert_array_equal(codes, expected)


def test_registered_names_are_known_everywhere():
    quantizers.register(FixedRange)
    costs.register(SumOfBits)
    relaxed = tfmp.relax(network(), quantizer=("lsq", "fixed_range(limit=3.0)"), first_and_last="search", **BITS)
    assert relaxed.get_layer("middle").activation_selector.quantizers[0] == FixedRange(3, False, limit=3.0)
    assert tfmp.cost(relaxed, "sum_of_bits") == pytest.approx(3 * (3.5 + 3.5))
    with pytest.raises(ValueError, match="There is a quantizer 'lsq' already"):
        quantizers.register(type("Other", (FixedRange,), {"name": "lsq"}))


def test_hardware_runs_a_network_under_its_name():
    bit_fusion = simulator.Hardware.from_preset("bit_fusion")
    hungry = dataclasses.replace(bit_fusion, name="hungry", dram_nj_per_bit=2 * bit_fusion.dram_nj_per_bit)
    simulator.register_preset(hungry)
    fixed = tfmp.quantize(network(), 8, calibration=data()[0])
    reports = [tfmp.simulate(fixed, hardware=hardware, batch=1) for hardware in ("hungry", hungry, "bit_fusion")]
    hungry_nj, frugal_nj = (reports[i].total.energy_nj["total"] for i in (0, 2))
    assert reports[0] == reports[1] and hungry_nj > frugal_nj
    assert costs.Energy("hungry").hardware is hungry and "hungry" in simulator.preset_names()


def test_a_strategy_is_a_trial(tmp_path):
    choices = {"quantizer": [("lsq", FixedRange), FixedRange(8, limit=0.5)]}
    epochs = {"search_epochs": 1, "finetune_epochs": 0}
    hypermodel = tiny.hypermodel(budgets=tiny.BUDGETS[1:], strategies=four_bits, choices=choices, **epochs)
    assert hypermodel.space.identity()["quantizer"] == ['["lsq","fixed_range"]', "fixed_range(limit=0.5)"]
    tuner = BudgetTuner(hypermodel, directory=tmp_path, max_trials=1)
    tiny.search(tuner)
    assert strategies.get("four_bits") is four_bits and hypermodel.strategies == ["four_bits"]
    (trial,) = tuner.oracle.trials.values()
    assert trial.status == "COMPLETED" and trial.hyperparameters.values["strategy"] == "four_bits"
