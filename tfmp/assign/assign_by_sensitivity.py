"""Assigns bits without training, by measured sensitivities and a knapsack."""

from collections.abc import Callable, Sequence
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.assign.measure_sensitivity import measure_sensitivity, searchable
from tfmp.assign.sensitivity import METHODS
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_choice
from tfmp.graph import BitAssignment
from tfmp.search.budget import Budget, budgets_of, priced_limits


def by_sensitivity(
    model: KerasModel,
    data: Any,
    budget: Budget | Sequence[Budget],
    *,
    loss: Callable[..., Any] | None = None,
    divergence: str | None = None,
    method: str = "exact",
    verbose: int = 0,
) -> BitAssignment:
    """Returns the bits with the smallest total sensitivity within a budget, without training.

    It is `tfmp.measure_sensitivity(model, data, ...).assign(budget, method=method)`. For several budgets, measure once
    and assign for each.

    Give the assignment to `tfmp.fix(..., post_training=True)`, or start a search from it with `tfmp.initialize_search`.

    Args:
        model: As in `tfmp.measure_sensitivity`, like `data`, `loss`, `divergence` and `verbose`.
        data: A few hundred inputs.
        budget: A `tfmp.Budget`, or a list of several that all hold.
        loss: The error; None for the divergence from the output in floating point.
        divergence: `"kl"`, `"squared_error"` or None.
        method: `"exact"` or `"greedy"`, as in `Sensitivity.assign`.
        verbose: 0, 1 or 2.

    Returns:
        A `BitAssignment`; its provenance has the measured sensitivity of every candidate.

    Raises:
        ValueError: If the budget cannot be met, no layer is searched, the data are not finite, or an argument is wrong.

    Example:
        >>> budget = tfmp.Budget("bitops", like_uniform=(4, 4))
        >>> assignment = tfmp.assign.by_sensitivity(search_model, x_train[:256], budget)
    """
    check_choice("method", method, METHODS)
    budgets_of(budget)
    model = searchable(model, "model")
    # Raises an error for a budget that cannot be met before anything is measured.
    priced_limits(budget, framework_of(model).read(model, weights=False))
    sensitivity = measure_sensitivity(model, data, loss=loss, divergence=divergence, verbose=verbose)
    return sensitivity.assign(budget, method=method)
