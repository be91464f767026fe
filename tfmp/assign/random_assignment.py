"""Random bit assignments within a budget, as a baseline."""

from collections.abc import Sequence

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.assign.discretize import decided
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_integer, check_number
from tfmp.graph import BitAssignment
from tfmp.search.assignment import random_within
from tfmp.search.budget import Budget, budgets_of, priced_limits


def at_random(
    model: KerasModel, budget: Budget | Sequence[Budget], *, seed: int = 0, tolerance: float = 0.02
) -> BitAssignment:
    """Returns random bits that spend a budget, as a baseline for a search.

    Every layer draws one of its pairs of bits with equal probability. Single layers are then drawn again until the
    budget is met and spent.

    Args:
        model: A relaxed model, trained or not.
        budget: A `tfmp.Budget`, or a list of several.
        seed: Integer; equal seeds draw equal bits.
        tolerance: Share of the budget that may remain; with several, of the one that is closest to being spent.

    Returns:
        A `BitAssignment`.

    Raises:
        ValueError: If the budget cannot be met or spent, or no layer is searched.

    Example:
        >>> assignment = tfmp.assign.at_random(search_model, tfmp.Budget("bitops", like_uniform=(2, 2)), seed=1)
    """
    check_integer("seed", seed, at_least=0)
    check_number("tolerance", tolerance, at_least=0, at_most=1)
    budgets_of(budget)
    graph = framework_of(model).read(model, weights=False)
    if not graph.searched:
        raise ValueError(f"Model `{graph.name}` has no layer whose bits are open. Expected a model from `tfmp.relax`.")
    bits = random_within(*priced_limits(budget, graph), np.random.default_rng(seed), tolerance=tolerance)
    return decided(graph, bits, strategy="random", budget=budget, seed=seed)
