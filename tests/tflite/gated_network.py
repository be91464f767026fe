"""A random network of the operations that `residual_network` lacks."""

import numpy as np

from tests.tflite.random_graphs import RandomNetwork, spread_scale, weights
from tfmp.graph.integer_graph import FIXED_GRIDS, Grid


def gated_network(seed):
    """A mixed-bit network with a swish, a gate of its own channels, a decoder with a skip connection and a crop."""
    rng = np.random.default_rng(seed)
    net = RandomNetwork(rng, (6, 7, 3))

    def grid(scale, *, signed=True):
        bits = int(rng.integers(3, 9))
        return Grid(scale, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else Grid(scale, 0, 2**bits - 1)

    def scale(name):
        return net.tensors[name].grid.scale

    def activation(source, function, codes=None, **attributes):
        attributes["function"] = function
        shape = net.tensors[source].shape[1:]
        return net.append("activation", [source], shape, codes or FIXED_GRIDS[function], attributes=attributes)

    image = net.append("quantize", ["image"], (6, 7, 3), Grid(1 / 128, -128, 127))
    first = net.convolution(image, 8, grid(1), bits=5)
    gate = activation(first, "sigmoid")
    swish = net.append("multiply", [first, gate], (6, 7, 8), grid(scale(first) / 2))
    mean = net.append("mean", [swish], (1, 1, 8), grid(scale(swish) / 2), attributes={"keepdims": True})
    bent = activation(mean, "leaky_relu", grid(scale(mean)), negative_slope=0.3)
    excited = activation(net.convolution(bent, 8, grid(1), bits=6, size=1), "sigmoid")
    gated = net.append("multiply", [swish, excited], (6, 7, 8), grid(scale(swish) * 0.8))
    spatial = net.append("mean", [gated], (1, 1, 8), grid(scale(gated) / 3), attributes={"keepdims": True})
    centred = net.append("subtract", [gated, spatial], (6, 7, 8), grid(scale(gated) * 0.9))
    strided = net.convolution(centred, 8, grid(1), bits=4, stride=2)
    constants = weights(rng, (3, 2, 8, 8), 8, bits=4)
    codes = grid(1)
    codes = Grid(spread_scale(net.tensors[strided].grid, constants, 48, codes), codes.low, codes.high)
    attributes = {"strides": (2, 2), "padding": "same", "low": 0}
    decoded = net.append("conv2d_transpose", [strided], (6, 8, 8), codes, attributes=attributes, constants=constants)
    attributes = {"begin": (0, 1, 0), "size": (6, 7, 8)}
    cropped = net.append("slice", [decoded], (6, 7, 8), codes, attributes=attributes)
    shift = net.append("mean", [cropped], (1, 1, 8), grid(scale(cropped) / 2), attributes={"keepdims": True})
    skipped = net.append("add", [cropped, shift], (6, 7, 8), grid(scale(cropped)))
    large = net.append("resize", [skipped], (12, 21, 8), net.tensors[skipped].grid)
    turned = net.append(
        "transpose", [large], (8, 12, 21), net.tensors[skipped].grid, attributes={"permutation": (0, 3, 1, 2)}
    )
    smooth = activation(activation(turned, "elu", grid(scale(turned))), "gelu", grid(scale(turned)))
    return net.graph([activation(smooth, "tanh"), excited])
