"""The network that a search would leave is evaluated as the one that `fix` makes of it."""

import keras
import numpy as np
import pytest
import tf_keras

import tfmp

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(64, 6)).astype(np.float32), RNG.normal(size=(64, 2)).astype(np.float32)
KERASES = {"keras": (keras, tfmp), "tf_keras": (tf_keras, tfmp.keras2)}


def relaxed(framework, **options):
    framework.utils.set_random_seed(0)
    layers = framework.layers
    hidden = [layers.Dense(12, activation="relu", name=name) for name in ("first", "second", "third")]
    model = framework.Sequential([framework.Input((6,)), *hidden, layers.Dense(2, name="last")])
    return tfmp.relax(model, calibration=X, weight_bits=(1, 2, 4), activation_bits=(2, 4), **options)


@pytest.mark.filterwarnings("ignore:.*open:UserWarning")
@pytest.mark.parametrize("relaxation", ["softmax", "annealed", "gumbel"])
@pytest.mark.parametrize("kind", KERASES)
@pytest.mark.default_cases("keras-annealed", "tf_keras-gumbel")
def test_it_evaluates_what_fix_makes(kind, relaxation):
    framework, ours = KERASES[kind]
    model = relaxed(framework, relaxation=relaxation)
    model.compile(ours.SelectionOptimizer(framework.optimizers.Adam(1e-3)), "mse", metrics=["mse"], run_eagerly=True)
    budget = tfmp.Budget("bitops", like_uniform=(2, 4))
    search = ours.MixedPrecisionSearch(budget)
    evaluation = ours.DiscreteEvaluation(search, X, Y, batch_size=32)
    errors = []

    class Record(framework.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            found = tfmp.discretize(self.model, strategy="budget", budget=budget)
            fixed = tfmp.fix(self.model, found)
            errors.append(float(np.mean((np.asarray(fixed(X)) - Y) ** 2)))

    history = model.fit(X, Y, epochs=2, batch_size=32, verbose=0, callbacks=[search, evaluation, Record()]).history
    np.testing.assert_allclose(history["discrete_mse"], errors, rtol=1e-4)
    assert {"discrete_loss", "loss", "discrete_cost"} <= set(history)
