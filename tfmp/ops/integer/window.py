"""Padding of sliding windows."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf


def margins(x: tf.Tensor, window: Sequence[int], attributes: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Returns the padding of `padding="same"`; an odd row or column is at the bottom or right."""
    around = [(0, 0)] * 4
    if attributes["padding"] == "same":
        for axis in (0, 1):
            size, stride = x.shape[axis + 1], attributes["strides"][axis]
            reach = (window[axis] - 1) * attributes["dilation"][axis] + 1
            missing = max(0, (-(-size // stride) - 1) * stride + reach - size)
            around[axis + 1] = (missing // 2, missing - missing // 2)
    return around
