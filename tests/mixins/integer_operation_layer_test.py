"""The layer of an integer operation."""

import keras
import numpy as np
import pytest

from tests.ops.integer.convolutions_test import SAME_WITH_UNEQUAL_STRIDES, convolution
from tests.ops.integer.layer_check import check, layer_of
from tests.tflite.random_graphs import (
    one_operation,
    weights,
)
from tfmp.bindings.integer_model import operation_arguments
from tfmp.bindings.keras3.selecting_layer import IntegerOperation
from tfmp.graph import Grid

pytestmark = pytest.mark.compiled

DENSE = weights(np.random.default_rng(0), (3, 2), 2)


def test_layer_survives_its_configuration():
    window = SAME_WITH_UNEQUAL_STRIDES
    graph = convolution("conv2d", window, 2, 4, (3, 2, 2, 4), Grid(0.1, 0, 15), Grid(1, 0, 15), {"low": 0}, 4, False, 0)
    layer = layer_of(graph, graph.operations[-2])
    twin = IntegerOperation.from_config(layer.get_config())
    twin.build()
    twin.set_weights(layer.get_weights())
    codes = np.random.default_rng(0).integers(0, 16, (2, 6, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(twin(codes), layer(codes))
    assert not layer.trainable_weights


def test_layer_computes_in_float32_under_any_policy():
    graph = one_operation("dense", [(3,)], [Grid(0.1, 0, 255)], (2,), Grid(0.11, -128, 127), constants=DENSE)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        check(graph, seed=0)
    finally:
        keras.config.set_dtype_policy(before)


def test_unknown_operation():
    graph = one_operation("dense", [(3,)], [Grid(0.1, 0, 255)], (2,), Grid(0.11, -128, 127), constants=DENSE)
    arguments = {**operation_arguments(graph, graph.operations[1]), "kind": "gelu", "name": "strange"}
    with pytest.raises(ValueError, match="Layer `strange`: `kind` must be one of .*'conv2d', .*Received: 'gelu'"):
        IntegerOperation(**arguments)
