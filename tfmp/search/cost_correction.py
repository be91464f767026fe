"""Moves logits so that the expected cost meets a target."""

from collections.abc import Iterable, Mapping

import numpy as np

from tfmp.search.lagrangian import Penalty
from tfmp.search.search_schedule import LOGIT_TRAVEL

Choice = tuple[str, int]  # layer name, and 0 for its weights (and for coupled candidates) or 1 for its activation

_FASTEST = 2 * LOGIT_TRAVEL  # nats per search, so that a correction is stronger than training


def cost_correction(
    penalty: Penalty,
    target: float,
    probabilities: Mapping[str, tuple[np.ndarray, np.ndarray]],
    choices: Iterable[Choice],
    fraction: float,
) -> dict[Choice, np.ndarray]:
    """Returns changes of logits that bring the expected cost to a target, by one Newton step of bounded length.

    The logits of each choice move against the cost of its candidates, as far in the cheapest layer as in the most
    expensive one, as an optimizer with normalized gradients moves them. The correction thus adds nothing to the
    preferences between layers, which follow from the gradients of loss and price alone.

    Args:
        penalty: The cost and its limit.
        target: The cost to reach, in the cost's unit.
        probabilities: Layer name to the arrays of its weight and activation probabilities.
        choices: The choices whose logits may change.
        fraction: Share of the search for which this is the only correction; it bounds the change.

    Returns:
        Choice to the change of its logits. Choices whose candidates all cost the same are omitted.
    """
    tables = penalty.priced.largest(probabilities).tables
    directions, slope = {}, 0.0
    for name, axis in choices:
        weight, activation = probabilities[name]
        chances, prices = probabilities[name][axis], tables[name]
        if penalty.priced.graph.layers[name].coupled:
            prices = np.diag(prices)
        else:
            prices = prices @ activation if axis == 0 else weight @ prices
        centred = prices - prices.mean()
        largest = np.abs(centred).max()
        if largest > 0:
            directions[name, axis] = centred / largest
            slope += largest * float(chances @ directions[name, axis] ** 2 - (chances @ directions[name, axis]) ** 2)
    excess = penalty.priced.expected(probabilities) - target
    bound = _FASTEST * fraction
    length = np.clip(excess / slope, -bound, bound) if slope > 0 else 0.0
    return {choice: -length * direction for choice, direction in directions.items()}
