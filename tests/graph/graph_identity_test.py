"""Architectures of both Kerases, built twice in one process, where Keras gives other names the second time."""

import functools
import json

import keras
import pytest
import tf_keras

import tfmp
from tfmp.bindings.framework import framework_of
from tfmp.files.run_identity import difference_text
from tfmp.graph.graph_identity import graph_identity

FRAMEWORKS = {"keras": keras, "tf_keras": tf_keras}


@pytest.fixture(params=FRAMEWORKS)
def framework(request):
    return FRAMEWORKS[request.param]


def identity(framework, *, units=4, rate=0.1, crossed=False, initializer="zeros", dtype=None, **options):
    kl = framework.layers
    inputs = [framework.Input((6,)), framework.Input((6,))]
    first = kl.Dense(units, dtype=dtype, bias_initializer=initializer)
    backbone = framework.Sequential([framework.Input((6,)), first, kl.ReLU(), kl.Dense(5)])
    x = [kl.Dropout(rate)(kl.ReLU()(backbone(each))) for each in (inputs[::-1] if crossed else inputs)]
    x = kl.Dense(4, activation="relu")(kl.BatchNormalization()(kl.Concatenate()(x)))
    model = framework.Model(inputs, kl.Dense(2)(x))
    model = tfmp.relax(model, **{"weight_bits": (1, 2), **options})
    return json.loads(json.dumps(graph_identity(framework_of(model).read(model, weights=False))))


first_identity = functools.cache(identity)


CHANGES = {
    "units": ({"units": 5}, "layers.dense.units: 4 then, 5 now"),
    "rate": ({"rate": 0.2}, "layers.identity.rate: 0.1 then, 0.2 now"),
    "connections": ({"crossed": True}, "connections: "),
    "bits": ({"weight_bits": (1, 4)}, "layers.dense 2.weight_bits: [1, 2] then, [1, 4] now"),
    "dtype": ({"dtype": "float64"}, "layers.dense.dtype"),
}


@pytest.mark.default_cases("keras-units", "keras-connections", "keras-bits", "tf_keras-rate")
@pytest.mark.parametrize("kind", CHANGES)
def test_what_differs_is_named(framework, kind):
    changed, text = CHANGES[kind]
    assert text in difference_text(first_identity(framework), identity(framework, **changed))


@pytest.mark.default_cases("keras")
def test_names_and_first_values_do_not_count(framework):
    assert difference_text(first_identity(framework), identity(framework, initializer="ones")) == ""


@pytest.mark.default_cases("keras")
def test_names_count_where_noise_follows_from_them(framework):
    first, second = (identity(framework, relaxation="gumbel") for _ in range(2))
    assert "layers.dense 2.seed: " in difference_text(first, second)
