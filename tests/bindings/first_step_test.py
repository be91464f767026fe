"""The first step of a search: it is traced once, and announced."""

import keras
import numpy as np
import pytest
import tf_keras

import tfmp

X = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32)
MODULES = {keras: tfmp, tf_keras: tfmp.keras2}


@pytest.mark.compiled
@pytest.mark.default_cases("keras")
@pytest.mark.parametrize("framework", MODULES, ids=lambda framework: framework.__name__)
def test_the_first_step_is_traced_once_and_announced(framework, capsys):
    ours = MODULES[framework]
    layers = [framework.layers.Dense(4, activation="relu") for _ in range(3)]
    network = framework.Sequential([framework.Input((6,)), *layers, framework.layers.Dense(2)])
    model = tfmp.relax(network, weight_bits=(2, 4), activation_bits=(2, 4), first_and_last="float", calibration=X)
    model.compile(ours.SelectionOptimizer(framework.optimizers.Adam(0.01), "sgd"), "mse")
    traces, train_step = [], model.train_step

    def traced(data):
        traces.append(data)
        return train_step(data)

    model.train_step = traced
    search = ours.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 2)))
    options = {"batch_size": 4, "callbacks": [search]}
    model.fit(X, X[:, :2], verbose=0, **options)
    assert len(traces) == 1
    assert capsys.readouterr().out == ""
    model.fit(X, X[:, :2], verbose=2, **options)
    assert "Search of 2 layers: tracing and compiling the first step" in capsys.readouterr().out
