"""Models of single calls, from which layers in floating point are converted."""

import keras
import numpy as np
import tf_keras

from tfmp.bindings.float_conversion import call_model
from tfmp.bindings.framework import framework_of


def test_weights_that_layers_share_are_those_of_the_layer_that_counts_them():
    keras.utils.set_random_seed(0)
    x = keras.Input((4, 3), name="x")
    dense = keras.layers.Dense(3, name="shared")
    wrapped = keras.layers.TimeDistributed(dense, name="wrapped")
    model = keras.Model(x, wrapped(dense(x)))
    framework = framework_of(model)
    graph = framework.read(model)
    (call,) = graph.calls_of("wrapped")
    data = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    (found,) = keras.tree.flatten(call_model(framework, graph, call)([data]))
    np.testing.assert_allclose(found, wrapped(data), rtol=1e-6, atol=1e-6)


def test_models_read_without_weights_have_operators_for_all_of_them():
    for package in (keras, tf_keras):
        x = package.Input((4, 3), name="x")
        model = package.Model(x, package.layers.LayerNormalization(name="normal")(x))
        framework = framework_of(model)
        graph = framework.read(model, weights=False)
        tensors = graph.convert(graph.calls_of("normal")[0], 1).tensors
        numbers = [tensor.values for tensor in tensors if tensor.values is not None and tensor.dtype == "float32"]
        # Gamma and beta, which are ones and zeros in the new model, but not once it is trained.
        assert sum(each.size == 3 == np.unique(each).size for each in numbers) == 2
