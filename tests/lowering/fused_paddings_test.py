"""Paddings are left to convolutions exactly where these add the same zeros."""

import dataclasses

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tfmp
from tests.tflite import integer_reference
from tests.tflite.random_graphs import one_operation, weights
from tfmp.bindings.framework import framework_of
from tfmp.graph import Grid, IntegerOperation, IntegerTensor
from tfmp.lowering.fused_paddings import with_fused_paddings
from tfmp.transform.fold import fold_graph

GRID = Grid(0.1, -128, 127)


def padded(size, sides, window, stride, dilation, kind="depthwise_conv2d", readers=1):
    """A padding of rows and columns, and a convolution of it."""
    after = size + sum(sides)
    output = (after - (window - 1) * dilation - 1) // stride + 1
    rng = np.random.default_rng(size)
    constants = weights(rng, (window, window, 2, 1 if kind == "depthwise_conv2d" else 3), 3 if kind == "conv2d" else 2)
    attributes = {"strides": (stride,) * 2, "dilation": (dilation,) * 2, "padding": "valid", "groups": 1}
    channels = len(constants["bias"])
    graph = one_operation(
        kind, [(size, size, 2)], [GRID], (output, output, channels), GRID, attributes=attributes, constants=constants
    )
    quantize, convolution, dequantize = graph.operations
    pad = IntegerOperation("pad", "pad", (quantize.output,), "pad", {"paddings": [sides, sides]})
    convolution = dataclasses.replace(convolution, inputs=("pad",))
    again = [IntegerOperation("again", "dequantize", ("pad",), "again")] * (readers - 1)
    tensors = {**graph.tensors, "pad": IntegerTensor("pad", (None, after, after, 2), GRID)}
    if again:
        tensors["again"] = IntegerTensor("again", (None, after, after, 2), None)
    return dataclasses.replace(graph, operations=(quantize, pad, convolution, *again, dequantize), tensors=tensors)


def result(graph, x):
    return integer_reference.run(graph, {"input_0": x})["result"]


@settings(deadline=None, max_examples=80)
@given(
    st.integers(3, 9),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.integers(1, 3),
    st.sampled_from([(1, 1), (2, 1), (3, 1), (1, 2)]),
    st.sampled_from(["conv2d", "depthwise_conv2d"]),
)
def test_no_code_changes(size, sides, window, step, kind):
    stride, dilation = step
    assume(size + sum(sides) > dilation * (window - 1))  # otherwise there is no output
    graph = padded(size, sides, window, stride, dilation, kind=kind)
    fused = with_fused_paddings(graph)
    x = np.random.default_rng(size).normal(scale=5, size=(2, size, size, 2)).astype(np.float32)
    np.testing.assert_array_equal(result(fused, x), result(graph, x))
    assert set(fused.tensors) == set(graph.tensors) - ({"pad"} if len(fused.operations) == 3 else set())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((8, (0, 1), 3, 2, 1), True),
        ((7, (1, 1), 3, 2, 1), True),
        ((7, (1, 1), 3, 1, 1), True),
        ((7, (2, 2), 3, 1, 2), True),
        ((8, (1, 1), 3, 2, 1), False),
        ((8, (1, 0), 3, 2, 1), False),
        ((8, (1, 1), 1, 1, 1), False),
    ],
)
def test_which_are_fused(arguments, expected):
    assert (len(with_fused_paddings(padded(*arguments)).operations) == 3) is expected
    if expected:
        assert len(with_fused_paddings(padded(*arguments, readers=2)).operations) == 5


def test_a_network_with_strides_of_2(tmp_path):
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="stem")(image)
    x = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(x)
    x = keras.layers.DepthwiseConv2D(3, strides=2, activation="relu", name="down")(x)
    model = keras.Model(image, keras.layers.Conv2D(2, 1, name="head")(x))
    data = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)
    fixed = tfmp.quantize(model, 8, calibration=data, post_training="ranges")
    kinds = [each.kind for each in fold_graph(framework_of(fixed).read(fixed)).operations]
    assert "pad" not in kinds and kinds.count("depthwise_conv2d") == 1
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=data, reference=model)
    assert all(operator.equal_share == 1 for operator in report.operators)
