"""The NumPy definitions of the kinds against layers of Keras."""

import keras
import numpy as np
import pytest
from keras import layers as kl
from keras import ops

from tests.operators.unary_functions_test import FUNCTIONS, NON_NEGATIVE
from tfmp.operators import TABLE

ONE = [(5, 7, 6, 4)]
TWO = [(5, 7, 6, 4), (5, 1, 1, 4)]
CASES = [  # kind, attributes, layer, shapes of the inputs
    ("identity", {}, kl.Identity(), ONE),
    ("relu", {"max_value": None}, kl.ReLU(), ONE),
    ("relu", {"max_value": 1.5}, kl.ReLU(1.5), ONE),
    ("leaky_relu", {"negative_slope": 0.25}, kl.LeakyReLU(0.25), ONE),
    ("sigmoid", {}, kl.Activation("sigmoid"), ONE),
    ("hard_sigmoid", {"factor": 1 / 6, "offset": 0.5}, kl.Activation("hard_sigmoid"), ONE),
    ("tanh", {}, kl.Activation("tanh"), ONE),
    ("swish", {}, kl.Activation("swish"), ONE),
    ("hard_swish", {}, kl.Activation("hard_swish"), ONE),
    ("elu", {}, kl.ELU(), ONE),
    ("gelu", {"approximate": False}, kl.Activation("gelu"), ONE),
    ("gelu", {"approximate": True}, lambda x: keras.ops.gelu(x, approximate=True), ONE),
    ("softmax", {}, kl.Softmax(), ONE),
    ("softmax", {"axis": 1}, kl.Softmax(axis=1), ONE),
    ("affine", {"factor": 2.0, "offset": -1.0}, kl.Rescaling(2.0, -1.0), ONE),
    ("affine", {"factor": [1, 2, 3, 4], "offset": 0.5}, lambda x: x * np.arange(1.0, 5) + 0.5, ONE),
    ("add", {}, kl.Add(), [*TWO, (5, 7, 6, 4)]),
    ("subtract", {}, kl.Subtract(), TWO),
    ("multiply", {}, kl.Multiply(), TWO),
    ("concatenate", {"axis": 2}, kl.Concatenate(2), ONE * 2),
    ("reshape", {}, kl.Reshape((6, 28)), ONE),
    ("permute", {"permutation": (0, 3, 1, 2)}, kl.Permute((3, 1, 2)), ONE),
    ("pad", {"paddings": ((1, 2), (0, 3))}, kl.ZeroPadding2D(((1, 2), (0, 3))), ONE),
    ("crop", {"croppings": ((1, 2), (0, 3))}, kl.Cropping2D(((1, 2), (0, 3))), ONE),
    ("upsample", {"factors": (2, 3)}, kl.UpSampling2D((2, 3)), ONE),
    ("resize", {}, kl.UpSampling2D(2, interpolation="bilinear"), ONE),
    ("resize", {}, kl.Resizing(4, 9), ONE),
    ("resize", {}, kl.Resizing(5, 5), [(5, 1, 2, 4)]),
    ("max_pool", {"pool_size": 3, "strides": 2, "padding": "same"}, kl.MaxPooling2D(3, 2, "same"), ONE),
    ("max_pool", {"pool_size": (2, 3), "strides": (2, 1), "padding": "valid"}, kl.MaxPooling2D((2, 3), (2, 1)), ONE),
    ("average_pool", {"pool_size": 3, "strides": 2, "padding": "same"}, kl.AveragePooling2D(3, 2, "same"), ONE),
    ("average_pool", {"pool_size": 2, "strides": 2, "padding": "valid"}, kl.AveragePooling1D(2), [(5, 8, 3)]),
    ("mean", {"keepdims": False}, kl.GlobalAveragePooling2D(), ONE),
    ("mean", {"keepdims": True}, kl.GlobalAveragePooling1D(keepdims=True), [(5, 8, 3)]),
    ("global_max_pool", {}, kl.GlobalMaxPooling2D(), ONE),
    ("global_max_pool", {}, kl.GlobalMaxPooling2D(keepdims=True), ONE),
    ("average", {}, kl.Average(), ONE * 3),
    ("maximum", {}, kl.Maximum(), [*TWO, (5, 7, 6, 4)]),
    ("minimum", {}, kl.Minimum(), TWO),
    ("select", {"selections": ((-1, "take", ([3, 0],)), (1, "flip", ()))}, lambda x: x[:, ::-1, :, [3, 0]], ONE),
    (
        "move_axes",
        {"sources": (1, -1), "targets": (2, 1), "swaps": False},
        lambda x: ops.moveaxis(x, (1, -1), (2, 1)),
        ONE,
    ),
    ("stack", {"axis": 2}, lambda x: ops.stack(x, 2), ONE * 2),
    ("depth_to_space", {"block_size": 2}, lambda x: ops.depth_to_space(x, 2), ONE),
    ("space_to_depth", {"block_size": 2}, lambda x: ops.space_to_depth(x, 2), [(5, 4, 6, 3)]),
    ("reduce_sum", {"axes": (1, -1)}, lambda x: ops.sum(x, (1, 3)), ONE),
    ("reduce_mean", {"axes": (2,)}, lambda x: ops.mean(x, 2, keepdims=True), ONE),
    ("reduce_max", {"axes": (1, 2)}, lambda x: ops.max(x, (1, 2)), ONE),
    ("reduce_min", {"axes": (-1,)}, lambda x: ops.min(x, -1), ONE),
    *((kind, attributes, function, ONE) for kind, (function, attributes) in FUNCTIONS.items()),
]


@pytest.mark.parametrize(
    ("kind", "attributes", "layer", "shapes"), CASES, ids=[f"{index}-{case[0]}" for index, case in enumerate(CASES)]
)
def test_values_are_those_of_keras(kind, attributes, layer, shapes):
    rng = np.random.default_rng(0)
    inputs = [rng.normal(scale=2.0, size=shape) for shape in shapes]
    arrays = [array.astype(np.float32) for array in inputs]
    expected = np.asarray(layer(arrays if len(arrays) > 1 else arrays[0]))
    found = TABLE[kind].values(inputs, attributes, expected.shape)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_every_kind_with_values_is_here():
    kinds = {kind for kind, operator in TABLE.items() if operator.values is not None}
    assert kinds == {kind for kind, *_ in CASES} | NON_NEGATIVE.keys()
