"""Assigns bits without training, by measured sensitivities and a knapsack."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.assign.discretize import decided
from tfmp.assign.sensitivity import measure_sensitivity
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_choice, check_function
from tfmp.graph import BitAssignment
from tfmp.search.assignment import best_within, greedy_within
from tfmp.search.budget import Budget, budgets_of, priced_limits
from tfmp.transform.calibration.output_error import DIVERGENCES
from tfmp.transform.relax import relax

METHODS = ("knapsack", "greedy")


def by_sensitivity(
    model: KerasModel,
    data: Any,
    budget: Budget | Sequence[Budget],
    *,
    loss: Callable[..., Any] | None = None,
    divergence: str | None = None,
    method: str = "knapsack",
    verbose: int = 0,
) -> BitAssignment:
    """Returns the bits with the smallest total sensitivity within a budget, without training.

    Every candidate of every tensor is tried alone, with all others at 8 bits and with ranges of least squared error on
    the data. Sensitivities are assumed to add up over the tensors. The assignment with the smallest sum within the
    budget is found exactly. This takes as many passes over the data as there are candidates in the network.

    Give the assignment to `tfmp.fix(..., post_training=True)`, or start a search from it with `tfmp.initialize_search`.

    Args:
        model: A relaxed model, trained or not; or a float model, which is then relaxed with the defaults of
            `tfmp.relax` for names and candidates. It is not changed.
        data: A few hundred inputs in any form that `tfmp.relax` takes; they are kept in memory. With `loss`, they have
            targets: (inputs, targets), or batches of these.
        budget: A `tfmp.Budget`, or a list of several.
        loss: Function of (targets, outputs), such as a loss object of Keras, or of (targets, outputs, sample_weight)
            if the data have weights. Sensitivity is the increase of the loss. Without it, sensitivity is the
            divergence of the output from that of the float network, which needs no targets.
        divergence: `"kl"` for outputs that are probabilities or logits of classes; `"squared_error"`, in units of the
            output's variance; None uses `"kl"` if the output is a softmax.
        method: `"knapsack"` for the smallest sum; `"greedy"` to repeatedly make the change with the best gain for its
            cost, a baseline that is at most as good.
        verbose: 1 prints a line per layer.

    Returns:
        A `BitAssignment`; its provenance has the measured sensitivity of every candidate.

    Raises:
        ValueError: If the budget cannot be met, no layer is searched, the data are not finite, or an argument is wrong.

    Example:
        >>> budget = tfmp.Budget("bitops", like_uniform=(4, 4))
        >>> assignment = tfmp.assign.by_sensitivity(search_model, x_train[:256], budget)
    """
    check_choice("method", method, METHODS)
    if loss is not None:
        check_function("loss", loss, "targets and outputs")
    if divergence is not None:
        check_choice("divergence", divergence, DIVERGENCES)
    check_choice("verbose", verbose, (0, 1))
    budgets_of(budget)  # raises an error for a wrong argument before the model is relaxed
    framework = framework_of(model)
    graph = framework.read(model)
    if not any(layer.is_quantized for layer in graph.layers.values()):
        graph = framework.read(relax(model))
    if not graph.searched:
        raise ValueError(f"Model `{graph.name}` has no layer whose bits are open. Expected a model from `tfmp.relax`.")
    priced, limits = priced_limits(budget, graph)
    harm = measure_sensitivity(graph, data, loss=loss, divergence=divergence, verbose=verbose)
    values = {}
    for name, tensors in harm.items():
        # More bits never count as worse: if they measure worse, this is the noise of few samples.
        weights, activations = (np.minimum.accumulate(tensor) for tensor in tensors)
        values[name] = -np.add.outer(weights, activations)
    if method == "greedy":
        bits = greedy_within(priced, limits, values)
    else:
        bits = best_within(priced, limits, values, spend=values)
    recorded = {
        name: {"weights": weights.tolist(), "activations": activations.tolist()}
        for name, (weights, activations) in harm.items()
    }
    return decided(graph, bits, strategy="sensitivity", method=method, budget=budget, sensitivity=recorded)
