"""The programs of the page on searching run as printed, in both Kerases, and set what they say."""

import contextlib
import pathlib
import re

import keras
import numpy as np
import pytest
import tf_keras

import tfmp
import tfmp.keras2

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "search.md"
X = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, size=64)


class Ours:
    """The names of the library for a model of tf_keras."""

    def __getattr__(self, name):
        return getattr(tfmp.keras2 if name in tfmp.keras2.__all__ else tfmp, name)


# The parts are tested in tests/mixins and tests/bindings.
@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.slow) for name in ("keras", "tf_keras")])
def names(request, tmp_path_factory):
    """What the page's programs leave, one after another; epochs and batches of a tenth."""
    framework, ours = (keras, tfmp) if request.param == "keras" else (tf_keras, Ours())
    framework.utils.set_random_seed(0)
    layers = [framework.layers.Dense(5, activation="relu", name=name) for name in ("one", "two", "three")]
    model = framework.Sequential([framework.Input((6,)), *layers, framework.layers.Dense(3, name="head")])
    loss = framework.losses.SparseCategoricalCrossentropy(from_logits=True)
    names = {"keras": framework, "tfmp": ours, "model": model, "loss": loss}
    names |= {"search_model": tfmp.relax(model, calibration=X)}
    names |= {"x_train": X, "y_train": Y, "x_select": X[:32], "y_select": Y[:32]}
    with contextlib.chdir(tmp_path_factory.mktemp("page")):  # one program writes files
        for program in programs_of("Learning", 5):
            exec(compile(program.replace("256", "32").replace("epochs=25", "epochs=3"), str(PAGE), "exec"), names)
    return names


def programs_of(title, count):
    """The programs of a section of the page."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    programs = re.findall(r"^```python\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    assert len(programs) == count
    return programs


def test_the_programs_on_costs():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(5, activation="relu", name=name) for name in ("one", "two", "three")]
    model = tfmp.relax(keras.Sequential([keras.Input((6,)), *layers, keras.layers.Dense(3)]), calibration=X)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    names = {"tfmp": tfmp, "search_model": model, "x_train": X, "y_train": Y}
    for program in programs_of("Costs and budgets", 2):
        program = program.replace("epochs=10", "epochs=1").replace("8e6", "1050")
        exec(compile(program, str(PAGE), "exec"), names)
    shape = tfmp.graph.LayerShape("conv1", "dense", in_channels=10, out_channels=10)
    formats = [tfmp.graph.CodeFormat(8, -127, 127)], [tfmp.graph.CodeFormat(8, 0, 255)]
    assert names["prices"].table(shape, *formats) == 0.75 and names["serial"].table(shape, *formats) == 800
    assert len(names["search"].multiplier) == 2
    assert tfmp.cost(model, "model_size", names["assignment"]) <= 1050


def test_the_setting_of_the_paper(names):
    rates = [names["falling"](rate, 100) for rate in (0.1, 0.01)]
    for rate, start in zip(rates, (0.1, 0.01), strict=True):
        found = [float(np.asarray(rate(step))) for step in (0, 1000, 1001, 2000, 2001, 2499)]
        np.testing.assert_allclose(found, np.array([1, 1, 0.1, 0.1, 0.01, 0.01]) * start, rtol=1e-6)
    optimizer = names["optimizer"]
    for own in (optimizer.weights_optimizer, optimizer.selection_optimizer):
        assert own.momentum == 0.9 and own.weight_decay == 1e-3


def test_the_network_that_the_search_would_leave_is_evaluated(names):
    assert {"accuracy", "discrete_accuracy"} <= set(names["history"])


def test_the_decay_is_that_of_the_papers_code(names):
    """NumPy: SGD that adds 1e-4 * w to the gradient inside of the momentum, from which no gradient comes."""
    framework, weight, velocity = names["keras"], 1.0, 0.0
    variable = framework.Variable(1.0) if framework is keras else framework.backend.variable(1.0)
    optimizer = framework.optimizers.SGD(0.1, momentum=0.9, weight_decay=1e-3)
    zero = np.float32(0.0) * np.asarray(variable)
    steps = 200
    for _ in range(steps):
        velocity = 0.9 * velocity + 1e-4 * weight
        weight -= 0.1 * velocity
        optimizer.apply_gradients([(framework.backend.constant(zero) if framework is tf_keras else zero, variable)])
    lost = 1 - weight, 1 - float(np.asarray(variable))
    assert lost[1] == pytest.approx(lost[0], rel=0.06), "the momentum starts at rest"


def test_the_programs_search_and_distill(names):
    search, model = names["search"], names["search_model"]
    assert search.penalties[0].limit == 4 * 25 * 2
    assert set(names["assignment"]) == {"two", "three"}
    assert names["training"].student is model
    assert int(np.asarray(names["optimizer"].selection_optimizer.iterations)) > 12
    assert names["assignment"].costs["bitops"] <= 4 * 50 + 64 * (30 + 15)
