"""Converts a quantized graph to floating point, for exports."""

import numpy as np
import pytest

import tfmp
from tests.transform.small_networks import inputs_for, outputs_of, plain, residual, several, trained
from tfmp.bindings.framework import framework_of
from tfmp.transform.edits.floating_point import in_floating_point


@pytest.mark.parametrize("make", [plain, residual, several], ids=lambda make: make.__name__)
def test_without_quantizers_it_is_the_model_that_was_relaxed(make):
    model = trained(make())
    relaxed = tfmp.relax(model)
    graph = in_floating_point(framework_of(relaxed).read(relaxed))
    assert not any(layer.is_quantized for layer in graph.layers.values())
    again = framework_of(relaxed).write(graph)
    x = inputs_for(model)
    for actual, expected in zip(outputs_of(again, x), outputs_of(model, x), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
