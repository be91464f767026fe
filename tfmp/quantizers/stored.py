"""The quantizer of tensors that are quantized already."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn, Self

import tensorflow as tf

from tfmp.quantizers.quantizer import MAX_BITS, Quantizer


@dataclasses.dataclass(frozen=True)
class Stored(Quantizer):
    """Leaves an activation as it is: on the 8-bit grid on which the layer before it stored it.

    `tfmp.fix` gives it to layers of 8-bit inputs that read a tensor with several readers. All of them, and the file,
    then have one grid for the tensor, where a quantizer for each reader would round the 8-bit codes once more.

    Args:
        bits: 8.
        signed: False for tensors that cannot be negative.

    State: none.

    Gradient: identity.

    Raises:
        ValueError: If `bits` is not 8; from `grid` and `codes`, as the grid is that of another layer.
    """

    name: ClassVar[str] = "stored"
    min_bits: ClassVar[int] = MAX_BITS
    is_stored: ClassVar[bool] = True

    def grid(
        self,
        x: tf.Tensor,
        state: Mapping[str, Any],
        *,
        widest: Self | None = None,
        channel_axes: Sequence[int] | None = None,
    ) -> NoReturn:
        raise ValueError(
            "Quantizer `stored` has no grid. Expected a tensor that a `tfmp.layers.Quantize` before it rounded: take "
            "the grid of that layer."
        )

    def __call__(self, x: Any, state: Mapping[str, Any], *, channel_axes: Sequence[int] | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(x)
