"""Base of the layer between the projections of an attention."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasMixin, Tensor
from tfmp.checks import check_flag, check_integer, check_number


class AttentionCoreMixin(KerasMixin):
    """Computes attention with several heads of queries, keys and values that are projected already.

    output = concatenation over the heads h of softmax(q_h @ k_h.T / sqrt(size of a head)) @ v_h

    `tfmp.relax` puts one between the projections of a `MultiHeadAttention` or `GroupQueryAttention`, so that these are
    searched like other dense layers. It has no weights, and its file computes it in floating point.

    Args:
        num_heads: Number of heads of the queries.
        num_key_heads: Number of heads of keys and values, of which `num_heads` is a multiple; each is used by
            `num_heads / num_key_heads` heads in a row.
        causal: True if a position only attends to those up to its own.
        dropout: Share of the weights of the attention that training drops, from 0 to below 1.
        seed: Integer, for the dropout; None for another one each time.

    Input shape: a list of queries `[batch, length, num_heads * size]`, keys `[batch, key length, num_key_heads * size]`
    and values `[batch, key length, num_key_heads * value size]`. Output shape: `[batch, length, num_heads * value
    size]`.

    Raises:
        ValueError: If a number of heads is not a positive integer, or `num_heads` is no multiple of `num_key_heads`.

    Reference: Ainslie et al., 2023, https://arxiv.org/abs/2305.13245
    """

    def __init__(
        self,
        num_heads: int,
        num_key_heads: int,
        *,
        causal: bool = False,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.num_heads = check_integer("num_heads", num_heads, at_least=1)
        self.num_key_heads = check_integer("num_key_heads", num_key_heads, at_least=1)
        if num_heads % num_key_heads:
            raise ValueError(
                f"`num_key_heads` must be a number of which `num_heads`, {num_heads}, is a multiple. Received: "
                f"{num_key_heads}"
            )
        self.causal = check_flag("causal", causal)
        self.dropout, self.seed = check_number("dropout", dropout, at_least=0, below=1), seed
        self.dropout_layer = self.make_dropout(dropout, seed=seed, name="dropout")

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: Sequence[Tensor], training: bool | None = None) -> Tensor:
        query, key, value = inputs
        query, key, value = (
            self._heads(query, self.num_heads),
            *(self._repeated(self._heads(each, self.num_key_heads)) for each in (key, value)),
        )
        scores = tf.matmul(query / math.sqrt(query.shape[-1]), key, transpose_b=True)
        if self.causal:
            scores += tf.cast(self._mask(*_sizes(scores)[2:]), scores.dtype)
        weights = self.dropout_layer(tf.nn.softmax(scores), training=training)
        heads = tf.transpose(tf.matmul(weights, value), (0, 2, 1, 3))
        return tf.reshape(heads, (-1, _sizes(heads)[1], heads.shape[2] * heads.shape[3]))

    def _heads(self, tensor, count):
        """Returns `[batch, heads, length, size]`."""
        _, length, size = _sizes(tensor)
        return tf.transpose(tf.reshape(tensor, (-1, length, count, size // count)), (0, 2, 1, 3))

    def _repeated(self, tensor):
        repeats = self.num_heads // self.num_key_heads
        return tf.repeat(tensor, repeats, axis=1) if repeats > 1 else tensor

    def _mask(self, length, key_length):
        """Returns what is added to the scores: zero where a position attends, else a number that softmax makes 0."""
        allowed = tf.linalg.band_part(tf.ones((length, key_length)), -1, 0)
        return (1 - allowed) * (float(np.finfo(np.float16).min) / 2)

    def compute_output_shape(self, input_shape: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
        query, _, value = input_shape
        return (*query[:-1], value[-1] * self.num_heads // self.num_key_heads)

    def get_config(self) -> dict[str, Any]:
        names = ("num_heads", "num_key_heads", "causal", "dropout", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _sizes(tensor: Tensor) -> list[Any]:
    """Returns the sizes of a tensor, as numbers where they are known."""
    return [tf.shape(tensor)[axis] if size is None else size for axis, size in enumerate(tensor.shape)]
