"""Random directions of a network's outputs, with the Hessian of the divergence as their second moment."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfmp.graph import Graph
from tfmp.transform.output_kind import holds_probabilities

_SMALLEST_PROBABILITY, _SMALLEST_VARIANCE = 1e-7, 1e-12


def output_directions(
    graph: Graph, variances: Callable[[], Sequence[float]], divergence: str | None = None
) -> Callable[[Sequence[tf.Tensor], Any], list[tuple[tf.Tensor, tf.Tensor]]]:
    """Returns a function of (outputs, seed) that draws a direction u of each output, with E[u u'] = H(z) per sample.

    H(z) is the Hessian of a sample's divergence from z at z itself, where z are the outputs; the divergence is that of
    `tfmp.transform.calibration.output_error.divergence_of`. With s random signs, u is

    - s sqrt(2 / (values var(z))) for the mean squared difference in units of the variance: H = 2 I / (values var(z));
    - s / sqrt(p) for KL of probabilities p: H = diag(1 / p);
    - sqrt(p) s - p (sqrt(p) . s) for KL of logits with the softmax p: H = diag(p) - p p'.

    Args:
        graph: The network.
        variances: Function that returns the variance of each output over the data; called if a divergence needs it.
        divergence: `"kl"`, `"squared_error"` or None, as in `divergence_of`.

    Returns:
        A function that returns pairs of an output and its direction, without outputs that are not in floating point.

    Raises:
        ValueError: If no output is in floating point.
    """
    is_float = [graph.tensors[name].is_float for name in graph.output_names]
    if not any(is_float):
        raise ValueError(
            f"Model `{graph.name}` has no output in floating point, and so no gradient. Give `method='output'`."
        )
    are_probabilities = [holds_probabilities(graph, name) for name in graph.output_names]
    kinds = [divergence or ("kl" if is_probability else "squared_error") for is_probability in are_probabilities]
    scales = variances() if "squared_error" in kinds else [1.0] * len(kinds)

    def directions(outputs: Sequence[tf.Tensor], seed: Any) -> list[tuple[tf.Tensor, tf.Tensor]]:
        pairs = []
        rows = zip(outputs, is_float, kinds, are_probabilities, scales, strict=True)
        for position, (output, has_gradient, kind, is_probability, variance) in enumerate(rows):
            if has_gradient:
                values = tf.cast(output, tf.float32)
                shape = tf.shape(values)
                draws = tf.random.stateless_uniform(shape, seed + [position * 2**16, 0], 0, 2, tf.int32)
                signs = 2 * tf.cast(draws, tf.float32) - 1
                size = tf.cast(tf.reduce_prod(shape[1:]), tf.float32)
                if kind == "squared_error":
                    direction = signs * tf.sqrt(2 / (size * max(variance, _SMALLEST_VARIANCE)))
                else:
                    num_places = size / tf.cast(shape[-1], tf.float32)
                    direction = _kl_direction(values, signs, is_probability) / tf.sqrt(num_places)
                pairs.append((output, tf.cast(direction, output.dtype)))
        return pairs

    return directions


def _kl_direction(values, signs, is_probability):
    if is_probability:
        return signs / tf.sqrt(tf.maximum(values, _SMALLEST_PROBABILITY))
    probabilities = tf.nn.softmax(values)
    drawn = tf.sqrt(probabilities) * signs
    return drawn - probabilities * tf.reduce_sum(drawn, axis=-1, keepdims=True)
