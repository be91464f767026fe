"""A slow NumPy model of what the runtime computes, operation by operation: the oracle of the export tests."""

import math

import numpy as np

F32 = np.float32


def run(graph, inputs):
    """Returns all tensors by name: int64 codes, or float32 numbers where there is no grid."""
    tensors = {name: np.asarray(value, F32) for name, value in inputs.items()}
    for operation in graph.operations:
        tensors[operation.output] = compute(graph, operation, [tensors[name] for name in operation.inputs])
    return tensors


def compute(graph, operation, inputs):
    """Returns the output of one operation for the given inputs."""
    grid = graph.tensors[operation.output].grid
    input_grids = [graph.tensors[name].grid for name in operation.inputs]
    if operation.kind == "dequantize":
        return inputs[0].astype(F32) * F32(input_grids[0].scale)
    codes = KINDS[operation.kind](operation, inputs, input_grids, grid, graph.tensors[operation.output].shape)
    low = max(grid.low, operation.attributes.get("low", grid.low))
    high = min(grid.high, operation.attributes.get("high", grid.high))
    return np.clip(codes, low, high).astype(np.int64)


def pad_same(x, window, strides, fill):
    """Pads as `padding="same"` does: the odd one below and right."""
    widths = []
    for size, reach, stride in zip(x.shape[1:3], window, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        widths.append((total // 2, total - total // 2))
    return np.pad(x, [(0, 0), *widths, (0, 0)], constant_values=fill)


def windows(x, window, operation, *, fill):
    """Returns `[batch, h, w, taps_h, taps_w, channels]` values that each position sees."""
    strides = operation.attributes.get("strides", (1, 1))
    dilation = operation.attributes.get("dilation", (1, 1))
    reach = [(size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)]
    if operation.attributes.get("padding", "valid") == "same":
        x = pad_same(x, reach, strides, fill)
    height, width = [(size - r) // stride + 1 for size, r, stride in zip(x.shape[1:3], reach, strides, strict=True)]
    seen = np.empty((x.shape[0], height, width, *window, x.shape[3]), x.dtype)
    for i in range(height):
        for j in range(width):
            top, left = i * strides[0], j * strides[1]
            seen[:, i, j] = x[:, top : top + reach[0] : dilation[0], left : left + reach[1] : dilation[1]]
    return seen


def requantize(accumulator, multiplier):
    return np.rint(accumulator.astype(F32) * multiplier)


def multiplier(operation, input_grid, grid):
    return F32(input_grid.scale) * operation.constants["kernel_scale"].astype(F32) / F32(grid.scale)


def quantize(operation, inputs, input_grids, grid, shape):
    return np.rint(inputs[0] * (F32(1) / F32(grid.scale)))


def conv2d(operation, inputs, input_grids, grid, shape):
    kernel = operation.constants["kernel"].astype(np.int64)
    groups = operation.attributes.get("groups", 1)
    seen = windows(inputs[0], kernel.shape[:2], operation, fill=0)
    parts = [
        np.tensordot(values, codes, axes=([3, 4, 5], [0, 1, 2]))
        for values, codes in zip(np.split(seen, groups, axis=-1), np.split(kernel, groups, axis=-1), strict=True)
    ]
    accumulator = np.concatenate(parts, axis=-1) + operation.constants["bias"]
    return requantize(accumulator, multiplier(operation, input_grids[0], grid))


def depthwise_conv2d(operation, inputs, input_grids, grid, shape):
    kernel = operation.constants["kernel"].astype(np.int64)
    seen = windows(inputs[0], kernel.shape[:2], operation, fill=0)
    sums = np.einsum("bhwijc,ijcm->bhwcm", seen, kernel)
    accumulator = sums.reshape(*sums.shape[:3], -1) + operation.constants["bias"]
    return requantize(accumulator, multiplier(operation, input_grids[0], grid))


def dense(operation, inputs, input_grids, grid, shape):
    accumulator = inputs[0] @ operation.constants["kernel"].astype(np.int64) + operation.constants["bias"]
    return requantize(accumulator, multiplier(operation, input_grids[0], grid))


def conv2d_transpose(operation, inputs, input_grids, grid, shape):
    """Every input pixel adds its image of the kernel; `padding="same"` crops what the forward convolution pads."""
    kernel = operation.constants["kernel"].astype(np.int64)
    (rows, columns), (high, wide) = inputs[0].shape[1:3], kernel.shape[:2]
    down, right = operation.attributes.get("strides", (1, 1))
    sums = np.zeros((len(inputs[0]), rows * down + high, columns * right + wide, kernel.shape[2]), np.int64)
    for i in range(rows):
        for j in range(columns):
            image = np.einsum("bi,hwoi->bhwo", inputs[0][:, i, j], kernel)
            sums[:, i * down : i * down + high, j * right : j * right + wide] += image
    top = left = 0
    if operation.attributes.get("padding", "valid") == "same":
        top, left = max(0, high - down) // 2, max(0, wide - right) // 2
    sums = sums[:, top : top + shape[1], left : left + shape[2]]
    return requantize(sums + operation.constants["bias"], multiplier(operation, input_grids[0], grid))


def add(operation, inputs, input_grids, grid, shape, sign=1):
    ratios = [F32(input_grid.scale) / F32(grid.scale) for input_grid in input_grids]
    shift = 20 - (int(np.frexp(max(ratios))[1]) - 1)
    factors = [int(np.rint(float(ratio) * 2.0**shift)) for ratio in ratios]
    return (inputs[0] * factors[0] + sign * inputs[1] * factors[1] + 2 ** (shift - 1)) >> shift


def subtract(*arguments):
    return add(*arguments, sign=-1)


def multiply(operation, inputs, input_grids, grid, shape):
    factor = F32(input_grids[0].scale) * F32(input_grids[1].scale) / F32(grid.scale)
    return requantize(inputs[0] * inputs[1], factor)


def activation(operation, inputs, input_grids, grid, shape):
    """One code at a time, in Python's own float64 mathematics."""
    function, values = operation.attributes["function"], np.unique(inputs[0])
    scale, ratio = F32(grid.scale), F32(input_grids[0].scale) / F32(grid.scale)
    outputs = []
    for code in values.tolist():
        x = F32(code) * F32(input_grids[0].scale)
        if function == "leaky_relu":
            slope = ratio if code >= 0 else ratio * F32(operation.attributes["negative_slope"])
            outputs.append((code * round(float(F32(256) * slope)) + 128) // 256)
        elif function == "gelu":
            y = gelu(x, operation.attributes.get("approximate", False)) * (F32(1) / scale)
            outputs.append(math.copysign(math.floor(abs(y) + F32(0.5)), y))
        else:
            y = F32(FUNCTIONS[function](float(x))) * (F32(1) / scale)
            outputs.append(round(float(y + F32(grid.zero_point))) - grid.zero_point)
    return np.array(outputs)[np.searchsorted(values, inputs[0])]


def gelu(x, approximate):
    if approximate:
        inner = F32(math.sqrt(2 / math.pi)) * (x + F32(0.044715) * x * x * x)
        return F32(0.5) * x * (F32(1) + F32(math.tanh(inner)))
    return F32(0.5) * x * F32(math.erfc(x * F32(-math.sqrt(0.5))))


FUNCTIONS = {
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
    "tanh": math.tanh,
    "elu": lambda x: math.expm1(x) if x < 0 else x,
    "square": lambda x: x * x,
}


def gather(operation, inputs, input_grids, grid, shape):
    return np.stack(
        [np.moveaxis(inputs[0], operation.attributes["axis"], 0)[i] for i in operation.attributes["indices"]],
        operation.attributes["axis"],
    )


def maximum(operation, inputs, input_grids, grid, shape):
    return np.where(inputs[0] > inputs[1], *inputs)


def minimum(operation, inputs, input_grids, grid, shape):
    return np.where(inputs[0] < inputs[1], *inputs)


def depth_to_space(operation, inputs, input_grids, grid, shape):
    """Channels `[block row, block column, others]` of a pixel become a block of pixels."""
    size, channels = operation.attributes["block_size"], shape[3]
    result = np.empty((len(inputs[0]), *shape[1:]), np.int64)
    for i in range(size):
        for j in range(size):
            first = (i * size + j) * channels
            result[:, i::size, j::size] = inputs[0][..., first : first + channels]
    return result


def space_to_depth(operation, inputs, input_grids, grid, shape):
    size = operation.attributes["block_size"]
    return np.concatenate([inputs[0][:, i::size, j::size] for i in range(size) for j in range(size)], -1)


def reduce_sum(operation, inputs, input_grids, grid, shape, averages=False):
    axes, x = operation.attributes["axes"], inputs[0]
    count = math.prod(x.shape[axis] for axis in axes)
    total = np.apply_over_axes(np.sum, x + input_grids[0].zero_point, axes)
    total = total if operation.attributes["keepdims"] else total.reshape(len(x), *shape[1:])
    factor = F32(input_grids[0].scale) / F32(grid.scale) * (F32(1) / F32(count) if averages else F32(1))
    offset = F32(grid.zero_point) - F32(count * input_grids[0].zero_point) * factor
    return np.rint(total.astype(F32) * factor + offset) - grid.zero_point


def reduce_mean(*arguments):
    return reduce_sum(*arguments, averages=True)


def reduce_max(operation, inputs, input_grids, grid, shape):
    reduced = np.apply_over_axes(np.max, inputs[0], operation.attributes["axes"])
    return reduced.reshape(len(inputs[0]), *shape[1:])


def reduce_min(operation, inputs, input_grids, grid, shape):
    return -reduce_max(operation, [-inputs[0]], input_grids, grid, shape)


def embedding(operation, inputs, input_grids, grid, shape):
    return operation.constants["table"].astype(np.int64)[inputs[0].astype(int)] - grid.zero_point


def lookup(operation, inputs, input_grids, grid, shape):
    """One code at a time; the table begins with the stored input -128."""
    stored = {code: code + input_grids[0].zero_point for code in np.unique(inputs[0]).tolist()}
    outputs = {code: int(operation.constants["table"][place + 128]) for code, place in stored.items()}
    return np.vectorize(outputs.get)(inputs[0]) - grid.zero_point


def mean(operation, inputs, input_grids, grid, shape):
    count = inputs[0].shape[1] * inputs[0].shape[2]
    factor = F32(input_grids[0].scale) / F32(grid.scale) * (F32(1) / F32(count))
    offset = F32(grid.zero_point) - F32(count * input_grids[0].zero_point) * factor
    stored = (inputs[0] + input_grids[0].zero_point).sum(
        axis=(1, 2), keepdims=operation.attributes.get("keepdims", False)
    )
    return np.rint(stored.astype(F32) * factor + offset) - grid.zero_point


def average_pool(operation, inputs, input_grids, grid, shape):
    window = operation.attributes["pool_size"]
    seen = windows(inputs[0].astype(np.float64), window, operation, fill=np.nan)
    if not np.isnan(seen).any() and math.prod(window) <= 25:
        kernel_scale = F32(1) / F32(window[0] * window[1])
        return requantize(seen.sum(axis=(3, 4)), F32(grid.scale) * kernel_scale / F32(grid.scale))
    average = np.nanmean(seen + grid.zero_point, axis=(3, 4))
    return np.sign(average) * np.floor(np.abs(average) + 0.5) - grid.zero_point


def max_pool(operation, inputs, input_grids, grid, shape):
    seen = windows(inputs[0].astype(np.float64), operation.attributes["pool_size"], operation, fill=-np.inf)
    return seen.max(axis=(3, 4))


def resize(operation, inputs, input_grids, grid, shape):
    """Pixel by pixel, in whole multiples of 2**-22."""
    outputs = np.empty((len(inputs[0]), *shape[1:]), np.int64)
    rows, columns = ([neighbours(i, inputs[0].shape[k], shape[k]) for i in range(shape[k])] for k in (1, 2))
    for i, (top, bottom, down) in enumerate(rows):
        for j, (left, right, aside) in enumerate(columns):
            upper = inputs[0][:, top, left] * (2048 - aside) + inputs[0][:, top, right] * aside
            lower = inputs[0][:, bottom, left] * (2048 - aside) + inputs[0][:, bottom, right] * aside
            outputs[:, i, j] = (upper * (2048 - down) + lower * down + 2**21) >> 22
    return outputs


def neighbours(index, source, target):
    """Pixels before and after, and 2048 times the weight of the latter."""
    ratio = F32(source) / F32(target)
    centre = min(max(F32(index) * ratio + (F32(0.5) * ratio - F32(0.5)), F32(0)), F32(source - 1))
    before = int(centre)
    return before, min(before + 1, source - 1), round(float((centre - F32(before)) * F32(2048)))


def pad(operation, inputs, input_grids, grid, shape):
    return np.pad(inputs[0], [(0, 0), *operation.attributes["paddings"], (0, 0)])


def slice_(operation, inputs, input_grids, grid, shape):
    indices = np.ix_(range(len(inputs[0])), *(b + np.arange(n) for b, n in box(operation)))
    return inputs[0][indices]


def box(operation):
    return zip(operation.attributes["begin"], operation.attributes["size"], strict=True)


def transpose(operation, inputs, input_grids, grid, shape):
    return np.transpose(inputs[0], operation.attributes["permutation"])


def reshape(operation, inputs, input_grids, grid, shape):
    return inputs[0].reshape(-1, *shape[1:])


def concatenate(operation, inputs, input_grids, grid, shape):
    return np.concatenate(inputs, axis=operation.attributes.get("axis", -1))


def softmax(operation, inputs, input_grids, grid, shape):
    numbers = inputs[0] * float(input_grids[0].scale)
    exponentials = np.exp(numbers - numbers.max(axis=-1, keepdims=True))
    return np.rint(exponentials / exponentials.sum(axis=-1, keepdims=True) / grid.scale)


KINDS = {
    function.__name__.rstrip("_"): function
    for function in (
        quantize,
        conv2d,
        depthwise_conv2d,
        dense,
        conv2d_transpose,
        add,
        subtract,
        multiply,
        activation,
        lookup,
        embedding,
        gather,
        maximum,
        minimum,
        depth_to_space,
        space_to_depth,
        reduce_sum,
        reduce_mean,
        reduce_max,
        reduce_min,
        mean,
        average_pool,
        max_pool,
        resize,
        pad,
        slice_,
        transpose,
        reshape,
        concatenate,
        softmax,
    )
}
