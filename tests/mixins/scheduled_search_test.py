"""Searches of digits by the default optimizer end decided and at their budget, whatever their number of steps."""

import types
import warnings

import keras
import numpy as np
import pytest
import tf_keras

import tfmp
from tfmp.demo import load_digits

pytestmark = pytest.mark.compiled

(X, Y), _ = load_digits()
X = X.reshape(len(X), -1)
KERASES = {"keras": (keras, tfmp), "tf_keras": (tf_keras, tfmp.keras2)}
W2A2 = tfmp.Budget("bitops", like_uniform=(2, 2))


class Searcher:
    """A relaxed network that is compiled once and searched from the same start every time."""

    def __init__(self, framework, ours, **options):
        framework.utils.set_random_seed(0)
        kl = framework.layers
        widths = {"one": 24, "two": 20, "three": 16, "four": 12}
        hidden = [kl.Dense(width, activation="relu", name=name) for name, width in widths.items()]
        model = framework.Sequential([framework.Input((64,)), *hidden, kl.Dense(10, name="last")])
        self.ours = ours
        self.model = tfmp.relax(model, calibration=X[:256], **options)
        self.optimizer = ours.SelectionOptimizer(framework.optimizers.Adam(1e-3))
        loss = framework.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(self.optimizer, loss)
        self.optimizer.build(self.model.trainable_variables)
        self._variables = [*self.model.variables, *self.optimizer.variables]
        self._start = [np.asarray(variable.numpy()) for variable in self._variables]

    def search(self, num_steps, budget=W2A2, *, epochs=2, callbacks=(), **options):
        """Returns the search, the history and the model's assignment before the rest of the budget is spent."""
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)
        search = self.ours.MixedPrecisionSearch(budget, **options)
        order = np.random.default_rng(0).permutation(np.resize(np.arange(len(X)), 16 * num_steps // epochs))
        history = self.model.fit(
            X[order], Y[order], batch_size=16, epochs=epochs, verbose=0, callbacks=[search, *callbacks]
        ).history
        assignment = tfmp.discretize(self.model, strategy="budget", budget=budget, spend=False)
        return types.SimpleNamespace(search=search, history=history, assignment=assignment)


@pytest.fixture(scope="module")
def searcher():
    return Searcher(*KERASES["keras"])


def check_decided(found):
    """The promises for one budget, or for the tightest of several."""
    assert found.history["selection_entropy"][-1] <= 0.15
    expected, discretized = [], []
    for penalty in found.search.penalties:
        expected.append(penalty.expected(found.search.probabilities()))
        discretized.append(penalty.priced.of(found.assignment.bits) / penalty.limit)
    assert 0.98 <= max(expected) <= 1.02
    assert max(discretized) <= 1 + 1e-9
    np.testing.assert_allclose(discretized, expected, rtol=0.02)


@pytest.mark.default_cases("100")
@pytest.mark.parametrize("steps", [100, 300, 1000, 3000])
def test_a_search_of_any_length_decides(searcher, steps):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = searcher.search(steps)
    check_decided(found)
    assert found.history["decided"][-1] == 6
    assert float(searcher.optimizer.selection_optimizer.learning_rate.numpy()) == pytest.approx(12 / steps)
    assert found.history["selection_entropy"][0] > 0.2 and found.history["decided"][0] < 4, "half of the search"


@pytest.mark.default_cases("both")
@pytest.mark.parametrize(
    "budget",
    [
        tfmp.Budget("bitops", like_uniform=(3, 3)),
        tfmp.Budget("model_size", like_uniform=(2, 2)),
        [tfmp.Budget("bitops", like_uniform=(3, 2)), tfmp.Budget("model_size", like_uniform=(2, 2))],
    ],
    ids=["w3a3", "bits", "both"],
)
def test_a_search_spends_its_budgets(searcher, budget):
    check_decided(searcher.search(100, budget))


@pytest.mark.slow
@pytest.mark.parametrize(("kit", "options"), [("tf_keras", {}), ("keras", {"coupled": True})])
def test_other_networks_decide_too(kit, options):
    if options:
        options = {**options, "weight_bits": (1, 2, 4), "activation_bits": (2, 3, 4)}
    found = Searcher(*KERASES[kit], **options).search(100)
    check_decided(found)
    assert found.history["decided"][-1] == (3 if options else 6)


def test_a_search_that_is_stopped_early_warns_at_its_end_and_where_it_is_discretized(searcher):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 59

    with pytest.warns(UserWarning, match="undecided or over budget: .*the training ended before the announced") as seen:
        searcher.search(200, callbacks=[Stop()], epochs=1)
    assert len([each for each in seen if "undecided" in str(each.message)]) == 2


def test_a_second_fit_keeps_what_the_first_one_decided(searcher):
    found = searcher.search(60)
    again = searcher.model.fit(X[:160], Y[:160], batch_size=16, verbose=0, callbacks=[found.search]).history
    assert again["decided"] == [6] and again["selection_entropy"][0] < 0.01
    assert tfmp.discretize(searcher.model).bits == found.assignment.bits


def test_steps_count_over_several_calls_of_fit(searcher):
    found = searcher.search(40, steps=100)
    assert 0 < found.search.state()["schedule"]["progress"] < 0.5 and found.history["decided"][-1] == 0
    order = np.resize(np.arange(len(X)), 16 * 60)
    history = searcher.model.fit(X[order], Y[order], batch_size=16, verbose=0, callbacks=[found.search]).history
    assert history["decided"] == [6] and found.search.state()["schedule"]["progress"] == 1


def test_data_without_length_need_the_number_of_steps(searcher):
    def batches():
        while True:
            yield X[:16], Y[:16]

    search = tfmp.MixedPrecisionSearch(W2A2)
    unknown = iter(batches())
    with pytest.raises(ValueError, match="no known length. Give `steps_per_epoch=` to `fit`, or `steps=`"):
        searcher.model.fit(unknown, epochs=1, callbacks=[search], verbose=0)


def test_a_search_that_cannot_decide_warns():
    hidden = [keras.layers.Dense(4, activation="relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10)])
    model = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(2, 4), calibration=X[:64])
    model.compile(tfmp.SelectionOptimizer("sgd", keras.optimizers.SGD(0.0)), "mse")
    search = tfmp.MixedPrecisionSearch(W2A2)
    with pytest.warns(UserWarning, match="entropy of its choices is 1.00, .* bitops are .* raise the learning rate"):
        model.fit(X[:50], Y[:50], batch_size=1, verbose=0, callbacks=[search])


@pytest.mark.slow
def test_an_interrupted_search_ends_as_one_that_was_not(searcher, tmp_path):
    class Kill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    options = {"epochs": 4, "backup_dir": tmp_path}
    expected = searcher.search(100, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        searcher.search(100, callbacks=[Kill()], **options)
    found = searcher.search(100, **options)
    assert len(found.history["loss"]) == 2 and found.assignment.bits == expected.assignment.bits
    for name, values in found.history.items():
        np.testing.assert_allclose(values, expected.history[name][2:], rtol=1e-4, err_msg=name)
