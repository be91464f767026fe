"""Layouts of kernels against the computation of Keras."""

import keras
import numpy as np
import pytest
from keras import layers

from tfmp.bindings.framework import framework_of
from tfmp.operators import TABLE, kernel_of

LAYERS = {
    "conv2d": (layers.Conv2D(4, (2, 3), groups=2), (6, 5, 2)),
    "depthwise_conv2d": (layers.DepthwiseConv2D((2, 3), depth_multiplier=3), (6, 5, 2)),
    "conv1d_transpose": (layers.Conv1DTranspose(4, 3), (6, 2)),
    "conv2d_transpose": (layers.Conv2DTranspose(4, (2, 3)), (6, 5, 2)),
    "conv1d": (layers.Conv1D(4, 3), (6, 2)),
    "depthwise_conv1d": (layers.DepthwiseConv1D(3, depth_multiplier=2), (6, 2)),
    "dense": (layers.Dense(4), (6, 2)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_channels_are_those_whose_scales_scale_the_output(kind):
    layer, shape = LAYERS[kind]
    inputs = keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    graph = framework_of(model).read(model)
    (read,) = (each for each in graph.in_order() if each.kind == kind)
    layout, kernel = kernel_of(read), read.weights["kernel"]
    factors = np.arange(1.0, read.shape.out_channels + 1)
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    before = np.asarray(layer(x))
    variable = layer.kernel
    variable.assign(kernel * layout.along_channels(factors, kernel.shape))
    np.testing.assert_allclose(layer(x), before * factors, rtol=1e-4, atol=1e-5)
    by_channel = layout.by_channel(kernel)
    assert by_channel.shape == (read.shape.num_weights // read.shape.out_channels, read.shape.out_channels)
    np.testing.assert_allclose(layout.by_channel(np.asarray(variable)), by_channel * factors, rtol=1e-6)
    stored = layout.for_operation(by_channel, kernel.shape)
    assert stored.shape == layout.operation_shape(read.shape)
    np.testing.assert_array_equal(np.squeeze(stored, 0) if layout.is_planar else stored, kernel)


def test_every_kind_with_a_kernel_is_here():
    assert LAYERS.keys() == {kind for kind, operator in TABLE.items() if operator.kernel is not None}
