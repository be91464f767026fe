"""Searches within several budgets."""

import io
import re
from contextlib import redirect_stdout

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp
from tests.mixins.three_layers import LOGGED, MACS, X, Y, compiled, expected_bitops, randomize_logits, search_model
from tfmp.search import DualAscent

KERNELS = {"one": 3 * 3 * 3 * 4, "two": 3 * 3 * 4 * 5, "three": 5 * 6}
SEVERAL = [tfmp.Budget("bitops", like_uniform=(2, 2)), tfmp.Budget("model_size", like_uniform=(2, 2))]


def expected_size(model):
    total = 0.0
    for name, count in KERNELS.items():
        odds = np.exp(np.asarray(model.get_layer(name).weight_selector.logits))
        total += count * (odds @ (1, 2, 4)) / odds.sum()
    return total


def test_several_budgets_are_logged_under_their_costs():
    model = compiled()
    randomize_logits(model)
    text = io.StringIO()
    with redirect_stdout(text):
        history = model.fit(X, Y, callbacks=[tfmp.MixedPrecisionSearch(SEVERAL)], verbose=1).history
    names = {"expected_cost", "discrete_cost", "cost_gap", "multiplier"}
    assert history.keys() == {"loss"} | (LOGGED - names) | {f"{n}/{c}" for n in names for c in ("bitops", "model_size")}
    for cost, expected, count in (
        ("bitops", expected_bitops, 4 * sum(MACS.values())),
        ("model_size", expected_size, 2 * sum(KERNELS.values())),
    ):
        np.testing.assert_allclose(history[f"expected_cost/{cost}"][0], expected(model) / count, rtol=1e-5)
        assert re.search(rf"cost/{cost}: \d+\.\d+", text.getvalue())


def test_the_prices_of_several_budgets_add_up():
    model, multipliers = search_model(), (0.5, 2.0)
    randomize_logits(model)
    search = tfmp.MixedPrecisionSearch(SEVERAL, multiplier=Constant(0.0))
    search.set_model(model)
    for multiplier, value in zip(search.multiplier, multipliers, strict=True):
        multiplier.value = value
    largest = search.step()
    shares = expected_bitops(model) / (4 * sum(MACS.values())), expected_size(model) / (2 * sum(KERNELS.values()))
    np.testing.assert_allclose(largest, max(shares), rtol=1e-5)
    model(X, training=True)
    np.testing.assert_allclose(sum(model.losses), np.dot(multipliers, shares), rtol=1e-5)


class Constant(DualAscent):
    """Stays where it is put."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def update(self, expected_cost, limit):
        pass


def test_a_backup_keeps_every_multiplier(tmp_path):
    model = compiled()
    search, again = (tfmp.MixedPrecisionSearch(SEVERAL, backup_dir=tmp_path) for _ in range(2))
    model.fit(X, Y, callbacks=[search], verbose=0)
    states = [multiplier.state() for multiplier in search.multiplier]
    assert states[0] != states[1] and all(state["value"] > 0 for state in states)
    again.set_model(model)
    assert [multiplier.value for multiplier in again.multiplier] == [0.0, 0.0]
    again.load_backup()
    assert [multiplier.state() for multiplier in again.multiplier] == states
    fewer = tfmp.MixedPrecisionSearch(SEVERAL[:1], backup_dir=tmp_path)
    fewer.set_model(model)
    with pytest.raises(ValueError, match="belongs to another"):
        fewer.load_backup()


@pytest.mark.slow
def test_several_budgets_are_all_met():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(64, 12)).astype(np.float32)
    hidden = [kl.Dense(16, activation="relu", name=f"hidden_{index}") for index in range(3)]
    teacher = keras.Sequential([keras.Input((12,)), *hidden, kl.Dense(4, name="last")])
    model = tfmp.relax(teacher, first_and_last="float", weight_bits=(1, 2, 4), activation_bits=(2, 4), calibration=x)
    optimizer = tfmp.SelectionOptimizer(keras.optimizers.Adam(0.003), keras.optimizers.Adam(0.03))
    model.compile(optimizer, "mse", loss_weights=[10.0])
    budget = [tfmp.Budget("bitops", like_uniform=(3, 2)), tfmp.Budget("model_size", like_uniform=(2, 2))]
    search = tfmp.MixedPrecisionSearch(budget)
    history = model.fit(x, 3 * np.asarray(teacher(x)), batch_size=16, epochs=40, callbacks=[search], verbose=0).history
    for name in ("bitops", "model_size"):
        assert history[f"expected_cost/{name}"][0] > 1.1
        assert np.mean(history[f"expected_cost/{name}"][-10:]) < 1.03
    assignment = tfmp.discretize(model, strategy="budget", budget=budget)
    pairs = assignment.bits.values()
    assert sum(w * a for w, a in pairs) <= 2 * 6 and sum(w for w, _ in pairs) <= 2 * 2
    entries = assignment.provenance["budget"]
    assert [(entry["cost"], entry["searched_layers"]) for entry in entries] == [
        ("bitops", 256 * sum(w * a for w, a in pairs)),
        ("model_size", 256 * sum(w for w, _ in pairs)),
    ]
