"""Derives one network from the controller's probabilities."""

from collections.abc import Callable

import numpy as np

from tfmp.joint.categoricals import Categoricals
from tfmp.joint.discrete_network import DiscreteNetwork


def best_within_target(
    categoricals: Categoricals,
    probabilities: np.ndarray,
    target: float,
    cost_of: Callable[[DiscreteNetwork], float],
    *,
    samples: int,
    spend: float = 0.0,
    seed: int = 0,
    loss_of: Callable[[DiscreteNetwork], float] | None = None,
) -> DiscreteNetwork:
    """Returns the best network of the most probable one and some that are drawn, within a target for the cost.

    Args:
        categoricals: The choices of the search space.
        probabilities: `[rows, width]`, of each candidate.
        target: What a network may cost.
        cost_of: Function of a `DiscreteNetwork` that returns its cost.
        samples: How many are drawn.
        spend: Share of the target that a network costs at least.
        seed: Of the draws.
        loss_of: Function of a network to a number, the least for the best one; by default the most probable is best.

    Raises:
        ValueError: If none is within the target and spends its share.
    """
    drawn = categoricals.sample(probabilities, samples, (seed, samples))
    indices = [categoricals.most_probable(probabilities), *drawn]
    networks = list(dict.fromkeys(map(categoricals.network, indices)))
    costs = [cost_of(network) for network in networks]
    least = spend * target
    within = [network for network, cost in zip(networks, costs, strict=True) if least <= cost <= target]
    if not within:
        spending = f" and costs {least:g} or more" if spend else ""
        raise ValueError(
            f"None of {len(networks)} networks is within the target of {target:g}{spending}; they cost from "
            f"{min(costs):g} to {max(costs):g}. Raise `samples`, search longer, or take the most probable network."
        )
    if loss_of is None:
        scores = [-categoricals.log_probability(probabilities, categoricals.indices(network)) for network in within]
    else:
        scores = [loss_of(network) for network in within]
    return within[int(np.argmin(scores))]
