"""Checks that weights are finite."""

import numpy as np

from tfmp.graph import Graph


def check_finite_weights(graph: Graph) -> None:
    """Raises `ValueError` if a weight, a range or a logit of a network, read with its weights, is NaN or infinite."""
    for layer in graph.in_order():
        for name, value in layer.arrays().items():
            if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
                raise ValueError(
                    f"Model `{graph.name}` must have finite weights. Received NaN or infinite values in `{name}` of "
                    f"layer `{layer.name}`: its training diverged. Go back to an earlier state, and train with a "
                    "smaller learning rate."
                )
