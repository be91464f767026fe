"""Warns of searches that end undecided or over budget."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

LARGEST_ENTROPY = 0.15
LARGEST_COST = 1.02  # of the budget

Probabilities = Mapping[str, tuple[np.ndarray, np.ndarray]]  # of weights and activations, by layer name


def selection_entropy(probabilities: Probabilities) -> float:
    """Returns the mean entropy of the open choices, from 0 to 1 for equal probabilities; 0 if there are none.

    Args:
        probabilities: Weight and activation probabilities by layer name.
    """
    entropies = [
        float(-(p * np.log(np.maximum(p, 1e-12))).sum() / np.log(len(p)))
        for pair in probabilities.values()
        for p in pair
        if len(p) > 1
    ]
    return float(np.mean(entropies)) if entropies else 0.0


def is_untouched(probabilities: Probabilities) -> bool:
    """Returns True if all candidates of every choice are equally probable, as before a search."""
    return all(np.ptp(p) < 1e-6 for pair in probabilities.values() for p in pair)


def warn_if_undecided(
    probabilities: Probabilities, costs: Mapping[str, float], *, way_out: str, stacklevel: int = 2
) -> None:
    """Warns if the choices of a search are open, or their expected cost exceeds a budget.

    Args:
        probabilities: Weight and activation probabilities by layer name.
        costs: The expected cost by the name of the cost, relative to its budget.
        way_out: What to do.
        stacklevel: As in `warnings.warn`, counted from the caller.
    """
    problems: Sequence[str] = [
        f"its expected {name} are {cost:.0%} of the budget" for name, cost in costs.items() if cost > LARGEST_COST
    ]
    entropy = selection_entropy(probabilities)
    if entropy > LARGEST_ENTROPY:
        problems = [
            f"the mean normalized entropy of its choices is {entropy:.2f}, where at most {LARGEST_ENTROPY} is decided",
            *problems,
        ]
    if problems:
        warnings.warn(
            f"The search is undecided or over budget: {', and '.join(problems)}. The discretized network can differ "
            f"much from the trained one. {way_out}",
            UserWarning,
            stacklevel=stacklevel + 1,
        )
