import dataclasses

import numpy as np
import pytest

from tfmp.graph import LayerShape


@pytest.mark.parametrize(
    ("shape", "num_weights", "num_outputs", "macs"),
    [
        (LayerShape("c", "conv2d", (3, 5), (2, 1), 6, 8, 1, (7, 4)), 3 * 5 * 6 * 8, 7 * 4 * 8, 3 * 5 * 6 * 8 * 28),
        (LayerShape("g", "conv2d", (3, 3), (1, 1), 6, 9, 3, (2, 2)), 3 * 3 * 2 * 9, 2 * 2 * 9, 3 * 3 * 2 * 9 * 4),
        (LayerShape("d", "depthwise_conv2d", (3, 3), (1, 1), 4, 8, 4, (5, 5)), 9 * 8, 25 * 8, 9 * 8 * 25),
        (
            *(LayerShape("t", "conv2d_transpose", (3, 5), (2, 2), 4, 8, 1, (10, 8), input_size=[5, 4]), 15 * 4 * 8),
            *(10 * 8 * 8, 15 * 4 * 8 * 5 * 4),
        ),
        (LayerShape("s", "conv1d", (1, 3), (1, 2), 4, 6, 2, (1, 9)), 3 * 2 * 6, 9 * 6, 3 * 2 * 6 * 9),
        (LayerShape("f", "dense", in_channels=7, out_channels=3), 21, 3, 21),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_counts(shape, num_weights, num_outputs, macs):
    assert (shape.num_weights, shape.num_outputs, shape.macs) == (num_weights, num_outputs, macs)


def test_numpy_integers_and_lists_become_plain():
    shape = LayerShape("c", "conv2d", [np.int64(3), 3], (1, 1), np.int32(4), 8, 1, np.array([5, 5]))
    assert shape == LayerShape("c", "conv2d", (3, 3), (1, 1), 4, 8, 1, (5, 5))
    assert hash(shape) == hash(dataclasses.replace(shape))
    assert type(shape.in_channels) is type(shape.kernel_size[0]) is int


def test_inputs_are_counted_where_their_size_is_known():
    assert LayerShape("c", "conv2d", (3, 5), (2, 1), 6, 8, 2, (7, 4), input_size=(16, 8)).num_inputs == 16 * 8 * 6
    assert LayerShape("t", "conv2d_transpose", (3, 3), (2, 2), 4, 8, 1, (10, 8), input_size=(5, 4)).num_inputs == 80
    assert LayerShape("f", "dense", in_channels=7, out_channels=3, output_size=(1, 5)).num_inputs == 35
    with pytest.raises(ValueError, match="Layer `c`: `input_size` is not known"):
        _ = LayerShape("c", "conv2d", output_size=(7, 4)).num_inputs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "conv3d"}, "`kind` must be one of 'conv2d', .*, 'conv1d', 'dense'. Received: 'conv3d'"),
        ({"kind": "conv2d_transpose"}, "a conv2d_transpose needs `input_size`. Received: None"),
        ({"input_size": (5, 0)}, "`input_size` must be two positive integers"),
        ({"kernel_size": (3,)}, "`kernel_size` must be two positive integers"),
        ({"kernel_size": (3, 0)}, "`kernel_size` must be two positive integers"),
        ({"strides": (1.0, 1)}, "`strides` must be two positive integers"),
        ({"output_size": (True, 1)}, "`output_size` must be two positive integers"),
        ({"in_channels": 0}, "`in_channels` must be a positive integer. Received: 0"),
        ({"out_channels": 2.5}, "`out_channels` must be a positive integer. Received: 2.5"),
        ({"groups": -1}, "`groups` must be a positive integer"),
        ({"groups": 3}, "`in_channels` must be divisible by `groups`. Received: 4 and 3"),
        ({"in_channels": 6, "groups": 3}, "`out_channels` must be divisible by `groups`. Received: 8 and 3"),
    ],
    ids=str,
)
def test_impossible_shapes_name_the_layer_and_the_field(change, message):
    arguments = {"kind": "conv2d", "in_channels": 4, "out_channels": 8, **change}
    with pytest.raises(ValueError, match=f"Layer `block/conv`: {message}"):
        LayerShape("block/conv", **arguments)
