"""Compares the layer of an operation with the reference."""

import numpy as np
import tensorflow as tf
from hypothesis import HealthCheck, settings

from tests.tflite import integer_reference
from tests.tflite.random_graphs import (
    random_codes,
)
from tfmp.bindings.integer_model import operation_arguments
from tfmp.bindings.keras3.selecting_layer import IntegerOperation

few = settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))


def layer_of(graph, operation):
    layer = IntegerOperation(**operation_arguments(graph, operation))
    layer.build()
    for name, value in operation.constants.items():
        getattr(layer, f"{name}_constant").assign(value)
    return layer


def check(graph, seed, *, batch=2, tolerance=0):
    """Compares the middle operation of a graph with the reference, on random codes."""
    rng = np.random.default_rng(seed)
    operation = graph.operations[-2]
    tensors = [graph.tensors[name] for name in operation.inputs]
    codes = [random_codes(rng, tensor.grid, (batch, *tensor.shape[1:])) for tensor in tensors]
    expected = integer_reference.compute(graph, operation, codes)
    layer = layer_of(graph, operation)
    inputs = [each.astype(np.float32) for each in codes]
    inputs = inputs if len(inputs) > 1 else inputs[0]
    found = layer(inputs)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    # Sizes that are known let the graph optimizer fold constants, a division by one becomes a product for instance.
    np.testing.assert_array_equal(tf.function(layer)(inputs), found)
