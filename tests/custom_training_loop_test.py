"""The page on custom training loops runs as printed, with the results of `fit`."""

import pathlib
import re

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "custom_training_loop.md"
X = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, size=64)


def trained_model():
    """Nested, so that the loop finds the layers of a backbone as well."""
    keras.utils.set_random_seed(0)
    inner = keras.Input((6,))
    x = kl.Dense(4, activation="relu", name="first")(inner)
    backbone = keras.Model(inner, kl.Dense(4, activation="relu", name="second")(x), name="backbone")
    inputs = keras.Input((6,))
    x = kl.Dense(5, activation="relu", name="hidden")(backbone(inputs))
    return keras.Model(inputs, kl.Dense(3, name="head")(x))


@pytest.fixture(scope="module")
def found():
    """The names that the page leaves."""
    program, alternating = programs()
    names = {"model": trained_model(), "x_train": X, "y_train": Y, "alternating": alternating}
    exec(compile(program, str(PAGE), "exec"), names)
    return names


def programs():
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def test_the_loop_of_the_page_does_what_fit_does(found):
    epochs = found["epochs"]

    relaxed = tfmp.relax(trained_model(), calibration=X)
    optimizer = tfmp.SelectionOptimizer(keras.optimizers.SGD(0.01))
    relaxed.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    search = tfmp.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 2)))
    losses = []
    each_step = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["loss"]))
    history = relaxed.fit(
        X, Y, batch_size=16, epochs=epochs, shuffle=False, callbacks=[search, each_step], verbose=0
    ).history

    # What `fit` shows is the mean of the epoch so far.
    printed = np.asarray(found["losses"]).reshape(epochs, -1)
    means = np.cumsum(printed, axis=1) / (1 + np.arange(printed.shape[1]))
    np.testing.assert_allclose(means.ravel(), losses, rtol=1e-4)
    for name in ("expected_cost", "discrete_cost", "multiplier", "selection_entropy", "mixture_variance"):
        np.testing.assert_allclose([entry[name] for entry in found["summaries"]], history[name], rtol=1e-4)
    assert len(set(history["multiplier"])) == epochs
    assignment = tfmp.discretize(relaxed, strategy="budget", budget=search.budget)
    assert found["assignment"].bits == assignment.bits and set(assignment) == {"backbone/second", "hidden"}
    assert found["fixed"].get_layer("backbone").get_layer("second").weight_bits == (assignment["backbone/second"][0],)


def test_temperatures_fall_in_a_loop_as_in_fit():
    model = tfmp.relax(trained_model(), relaxation="gumbel", calibration=X)
    search = tfmp.MixedPrecisionSearch(eta=1e-3, temperature=(1.0, 0.25))
    search.set_model(model)
    selector = model.get_layer("hidden").weight_selector
    temperatures = []
    for epoch in range(3):
        search.set_temperature(epoch, 3)
        temperatures.append(float(np.asarray(selector.temperature)))
    np.testing.assert_allclose(temperatures, [1.0, 0.5, 0.25], rtol=1e-6)


def test_a_search_goes_on_where_a_loop_stopped(found):
    search, again = found["search"], tfmp.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 2)))
    again.set_model(found["search_model"])
    again.schedule(found["optimizer"], steps=3 * found["epochs"])
    assert again.multiplier.value != search.multiplier.value
    again.restore(search.state())
    assert again.step() == search.step()
    assert again.state() == search.state()


def test_a_schedule_needs_an_optimizer_that_follows_it(found):
    search = tfmp.MixedPrecisionSearch(eta=1.0)
    search.set_model(found["search_model"])
    with pytest.raises(ValueError, match=r'`SelectionOptimizer` with `selection="scheduled"`.* Received: SelectionO'):
        search.schedule(tfmp.SelectionOptimizer("sgd", "adam"), steps=10)


def test_each_step_of_an_alternating_loop_moves_its_own_variables(found):
    names = {**found, "x_select": X[:32], "y_select": Y[:32]}
    exec(compile(names["alternating"], str(PAGE), "exec"), names)
    logits, weights = names["logits"], names["weights"]
    assert len(logits) == 4 and all(v.path.endswith("_selector/logits") for v in logits)
    assert len(logits) + len(weights) == len(names["search_model"].trainable_variables)

    def moved_by(step):
        before = [np.asarray(v) for v in (*logits, *weights)]
        step(X[:16], Y[:16])
        pairs = zip((*logits, *weights), before, strict=True)
        return [not np.array_equal(variable, value) for variable, value in pairs]

    by_selection, by_weights = moved_by(names["selection_step"]), moved_by(names["weights_step"])
    assert all(by_selection[: len(logits)]) and not any(by_selection[len(logits) :])
    assert not any(by_weights[: len(logits)]) and sum(by_weights) > len(weights) / 2
