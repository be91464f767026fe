"""What the kinds that can be registered compute, in NumPy: the meaning of their names, independent of any framework."""

import numpy as np
from scipy import special


def kind_values(kind, attributes, inputs, output_shape):
    """Computes what a layer of a kind returns.

    Args:
        kind: A kind of `custom_layers.REGISTRABLE`.
        attributes: What it needs to be told.
        inputs: float64 arrays, the batch first and channels last.
        output_shape: Shape of the result, which `"reshape"`, `"resize"` and `"global_max_pool"` do not know themselves.

    Returns:
        A float64 array.
    """
    if kind in _OF_NUMBERS:
        return _OF_NUMBERS[kind](inputs[0], attributes)
    if kind in _OF_SEVERAL:
        total = inputs[0]
        for other in inputs[1:]:
            total = _OF_SEVERAL[kind](total, other)
        return total
    if kind == "concatenate":
        return np.concatenate(inputs, axis=attributes["axis"])
    return _OF_SHAPES[kind](inputs[0], attributes, output_shape)


def _affine(x, attributes):
    factor, offset = (np.asarray(attributes[name], np.float64) for name in ("factor", "offset"))
    return x * (factor.reshape(-1) if factor.ndim else factor) + (offset.reshape(-1) if offset.ndim else offset)


def _relu(x, attributes):
    max_value = attributes["max_value"]
    return np.clip(x, 0, np.inf if max_value is None else max_value)


def _gelu(x, attributes):
    if attributes["approximate"]:
        return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + special.erf(x / np.sqrt(2)))


def _pooled(reduce, empty):
    def function(x, attributes, output_shape):
        rank = x.ndim - 2
        size, strides = (_of_rank(attributes[name], rank) for name in ("pool_size", "strides"))
        if str(attributes["padding"]).lower() == "same":
            missing = [
                max((-(-length // stride) - 1) * stride + window - length, 0)
                for length, window, stride in zip(x.shape[1:-1], size, strides, strict=True)
            ]
            sides = [(0, 0), *((each // 2, each - each // 2) for each in missing), (0, 0)]
            x = np.pad(x, sides, constant_values=empty)
        axes = tuple(range(1, rank + 1))
        windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=axes)
        windows = windows[(slice(None), *(slice(None, None, stride) for stride in strides))]
        return reduce(windows, axis=tuple(range(-rank, 0)))

    return function


def _of_rank(value, rank):
    return tuple(value) if isinstance(value, list | tuple) else (value,) * rank


def _upsampled(x, attributes, output_shape):
    for axis, factor in enumerate(attributes["factors"], start=1):
        x = np.repeat(x, factor, axis=axis)
    return x


def _resized(x, attributes, output_shape):
    """Bilinear, pixels having their centres at halves."""
    for axis, size in enumerate(output_shape[1:-1], start=1):
        length = x.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        below = np.minimum(np.floor(place).astype(int), max(length - 2, 0))
        share = (place - below).reshape(-1, *(1,) * (x.ndim - axis - 1))
        above = np.minimum(below + 1, length - 1)
        x = np.take(x, below, axis) * (1 - share) + np.take(x, above, axis) * share
    return x


def _cropped(x, attributes, output_shape):
    sides = zip(attributes["croppings"], x.shape[1:-1], strict=True)
    return x[(slice(None), *(slice(before, length - after) for (before, after), length in sides))]


def _middle(x):
    return tuple(range(1, x.ndim - 1))


_OF_NUMBERS = {  # function of an array and the attributes
    "identity": lambda x, _: x,
    "relu": _relu,
    "leaky_relu": lambda x, attributes: np.where(x < 0, attributes["negative_slope"] * x, x),
    "sigmoid": lambda x, _: special.expit(x),
    "hard_sigmoid": lambda x, attributes: np.clip(_affine(x, attributes), 0, 1),
    "tanh": lambda x, _: np.tanh(x),
    "swish": lambda x, _: x * special.expit(x),
    "hard_swish": lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
    "elu": lambda x, _: np.where(x < 0, np.expm1(np.minimum(x, 0)), x),
    "gelu": _gelu,
    "softmax": lambda x, _: special.softmax(x, axis=-1),
    "affine": _affine,
}
_OF_SEVERAL = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply}
_OF_SHAPES = {  # function of an array, the attributes and the shape of the result
    "reshape": lambda x, _, shape: x.reshape(len(x), *shape[1:]),
    "permute": lambda x, attributes, _: x.transpose(attributes["permutation"]),
    "pad": lambda x, attributes, _: np.pad(x, ((0, 0), *attributes["paddings"], (0, 0))),
    "crop": _cropped,
    "upsample": _upsampled,
    "resize": _resized,
    "max_pool": _pooled(np.max, -np.inf),
    "average_pool": _pooled(np.nanmean, np.nan),
    "mean": lambda x, attributes, _: x.mean(_middle(x), keepdims=bool(attributes["keepdims"])),
    "global_max_pool": lambda x, _, shape: x.max(_middle(x)).reshape(len(x), *shape[1:]),
}
KINDS = frozenset({*_OF_NUMBERS, *_OF_SEVERAL, "concatenate", *_OF_SHAPES})
