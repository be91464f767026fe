"""Random operations and networks in integers."""

import numpy as np
from hypothesis import strategies as st

from tfmp.graph.integer_graph import Grid, IntegerGraph, IntegerOperation, IntegerTensor

BATCH = 3


@st.composite
def grids(draw, scale=None):
    """Grids of 1 to 8 bits: unsigned, signed, narrow, and those of an asymmetric range."""
    bits = draw(st.integers(1, 8))
    if scale is None:
        scale = draw(st.sampled_from([0.5, 0.25, 0.1, 1 / 3, 0.0173]))
    kind = draw(st.sampled_from(["unsigned", "signed", "narrow", "asymmetric"]))
    if kind == "unsigned" or bits == 1:
        return Grid(scale, 0, 2**bits - 1)
    if kind == "asymmetric":
        low = -draw(st.integers(0, 2**bits - 1))
        return Grid(scale, low, low + 2**bits - 1)
    return Grid(scale, -(2 ** (bits - 1)) + (kind == "narrow"), 2 ** (bits - 1) - 1)


@st.composite
def clips(draw, grid):
    """Attributes `low` and `high` inside a grid, or none."""
    attributes = {}
    if draw(st.booleans()):
        attributes["low"] = draw(st.sampled_from([0, draw(st.integers(grid.low, 0))]))
    if draw(st.integers(0, 3)) == 0:
        attributes["high"] = draw(st.integers(max(1, (grid.high + 1) // 2), max(1, grid.high)))
    return attributes


def random_codes(rng, grid, shape):
    """Codes of a grid, its ends more often than a uniform draw would give."""
    codes = rng.integers(grid.low, grid.high + 1, shape)
    ends = rng.choice([grid.low, grid.high, 0], shape)
    return np.where(rng.random(shape) < 0.1, ends, codes)


def numbers(rng, grid, shape):
    """float32 numbers that quantize to random codes."""
    return (random_codes(rng, grid, shape) * np.float32(grid.scale)).astype(np.float32)


def weights(rng, shape, channels, *, bits=8, ties=False):
    """Constants of an operation that multiplies; scales are powers of two where exact ties are wanted."""
    limit = max(1, 2 ** (bits - 1) - 1)
    scales = 2.0 ** rng.integers(-6, -3, channels) if ties else rng.uniform(0.005, 0.05, channels)
    return {
        "kernel": rng.integers(-limit, limit + 1, shape).astype(np.int8),
        "bias": rng.integers(-100 * limit, 100 * limit + 1, channels).astype(np.int32),
        "kernel_scale": scales.astype(np.float32),
    }


def spread_scale(input_grid, constants, taps, grid, *, ties=False):
    """Scale of an output grid so that sums of `taps` products neither vanish nor all saturate."""
    product = np.abs(constants["kernel"].astype(float)).mean() * max(-input_grid.low, input_grid.high) / 2
    spread = product * np.sqrt(taps) * input_grid.scale * constants["kernel_scale"].mean()
    scale = max(spread * 3 / (grid.high - grid.low), constants["kernel_scale"].max() * input_grid.scale / 200)
    return float(2.0 ** np.ceil(np.log2(scale))) if ties else float(scale)


def one_operation(kind, input_shapes, input_grids, output_shape, grid, *, attributes=None, constants=None):
    """A graph that quantizes its inputs, runs one operation and dequantizes."""
    tensors, operations = [], []
    for index, (shape, input_grid) in enumerate(zip(input_shapes, input_grids, strict=True)):
        tensors += [
            IntegerTensor(f"input_{index}", (None, *shape), None),
            IntegerTensor(f"codes_{index}", (None, *shape), input_grid),
        ]
        operations.append(IntegerOperation(f"quantize_{index}", "quantize", (f"input_{index}",), f"codes_{index}"))
    names = tuple(f"codes_{index}" for index in range(len(input_shapes)))
    operations += [
        IntegerOperation("middle", kind, names, "result", attributes or {}, constants or {}),
        IntegerOperation("dequantize", "dequantize", ("result",), "numbers"),
    ]
    tensors += [
        IntegerTensor("result", (None, *output_shape), grid),
        IntegerTensor("numbers", (None, *output_shape), None),
    ]
    return IntegerGraph(
        "one_operation",
        tuple(operations),
        {tensor.name: tensor for tensor in tensors},
        tuple(f"input_{index}" for index in range(len(input_shapes))),
        ("numbers",),
        ("answer",),
    )


@st.composite
def sliding(draw, *, dilates=True, dilated_strides=False):
    """Height and width, window, attributes and output size of a sliding window.

    Keras has no strides together with dilation.
    """
    window = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides, dilation = (1, 1), (1, 1)
    dilated = dilates and draw(st.booleans())
    if dilated:
        dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    if dilated_strides or not dilated:
        strides = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.sampled_from(["same", "valid"]))
    least = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
    sizes = [draw(st.integers(size if padding == "valid" else 1, size + 5)) for size in least]
    attributes = {"strides": strides, "dilation": dilation, "padding": padding}
    output = [window_size(*each, padding) for each in zip(sizes, window, strides, dilation, strict=True)]
    return sizes, window, attributes, output


def window_size(size, window, stride, dilation, padding):
    """Size after a sliding window."""
    reach = (window - 1) * dilation + 1
    return -(-size // stride) if padding == "same" else (size - reach) // stride + 1


class RandomNetwork:
    """Grows a network operation by operation."""

    def __init__(self, rng, shape):
        self.rng = rng
        self.tensors = {"image": IntegerTensor("image", (None, *shape), None)}
        self.operations = []

    def append(self, kind, inputs, shape, grid, **arguments):
        name = f"{kind}_{len(self.operations)}"
        self.tensors[name] = IntegerTensor(name, (None, *shape), grid)
        attributes, constants = arguments.get("attributes", {}), arguments.get("constants", {})
        self.operations.append(IntegerOperation(name, kind, tuple(inputs), name, attributes, constants))
        return name

    def convolution(self, source, filters, grid, *, kind="conv2d", bits=8, size=3, stride=1):
        _, height, width, channels = self.tensors[source].shape
        input_grid = self.tensors[source].grid
        shape = (size, size, channels, filters) if kind == "conv2d" else (size, size, channels, 1)
        constants = weights(self.rng, shape, filters, bits=bits)
        taps = size * size * (channels if kind == "conv2d" else 1)
        grid = Grid(spread_scale(input_grid, constants, taps, grid), grid.low, grid.high)
        attributes = {"strides": (stride, stride), "padding": "same"}
        size = -(-height // stride), -(-width // stride), filters
        return self.append(kind, [source], size, grid, attributes=attributes, constants=constants)

    def graph(self, outputs):
        operations = list(self.operations)
        tensors = dict(self.tensors)
        for name in outputs:
            tensors[f"{name}_numbers"] = IntegerTensor(f"{name}_numbers", tensors[name].shape, None)
            operations.append(IntegerOperation(f"{name}_out", "dequantize", (name,), f"{name}_numbers"))
        return IntegerGraph(
            "random_network",
            tuple(operations),
            tensors,
            ("image",),
            tuple(f"{name}_numbers" for name in outputs),
            tuple(f"output_{index}" for index in range(len(outputs))),
        )


def residual_network(seed):
    """A mixed-bit network with a residual addition, a requantization, branches, pooling and two outputs."""
    rng = np.random.default_rng(seed)
    bits = lambda: int(rng.integers(1, 9))  # noqa: E731
    net = RandomNetwork(rng, (9, 8, 3))
    image = net.append("quantize", ["image"], (9, 8, 3), Grid(1 / 255, 0, 255))
    first = net.convolution(image, 8, Grid(1, 0, 255))
    low = 2 ** bits() - 1
    narrow = net.append(
        "depthwise_conv2d",
        [first],
        (9, 8, 8),
        Grid(net.tensors[first].grid.scale * 255 / low, 0, low),
        constants={
            "kernel": np.full((1, 1, 8, 1), 64, np.int8),
            "bias": np.zeros(8, np.int32),
            "kernel_scale": np.full(8, 1 / 64, np.float32),
        },
    )
    hidden = net.convolution(narrow, 8, Grid(1, 0, 2 ** bits() - 1), bits=max(2, bits()))
    second = net.convolution(hidden, 8, Grid(1, -128, 127), bits=max(2, bits()))
    total = net.append("add", [first, second], (9, 8, 8), Grid(net.tensors[second].grid.scale * 1.3, 0, 255))
    pooled = net.append("max_pool", [total], (5, 4, 8), net.tensors[total].grid, attributes=POOL)
    signed = Grid(1, -(2 ** (max(2, bits()) - 1)), 2 ** (max(2, bits()) - 1) - 1)
    left = net.convolution(pooled, 8, signed, kind="depthwise_conv2d")
    right = net.append("average_pool", [left], (5, 4, 8), net.tensors[left].grid, attributes=AVERAGE)
    both = net.append("concatenate", [left, right], (5, 4, 16), net.tensors[left].grid)
    mean = net.append("mean", [both], (16,), Grid(net.tensors[both].grid.scale / 7, -128, 127))
    constants = weights(rng, (16, 5), 5)
    scale = spread_scale(net.tensors[mean].grid, constants, 16, Grid(1, -128, 127))
    logits = net.append("dense", [mean], (5,), Grid(scale, -128, 127), constants=constants)
    probabilities = net.append("softmax", [logits], (5,), Grid(1 / 256, 0, 255))
    return net.graph([probabilities, logits])


POOL = {"pool_size": (2, 2), "strides": (2, 2), "padding": "same"}
AVERAGE = {"pool_size": (3, 3), "strides": (1, 1), "padding": "same"}
