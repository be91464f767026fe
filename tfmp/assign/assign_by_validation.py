"""Assigns bits by sampling from a search's probabilities and keeping the best on validation data."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.assign.discretize import decided
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_flag, check_function, check_integer
from tfmp.graph import BitAssignment, Graph, Layer
from tfmp.search.assignment import most_probable, most_probable_within
from tfmp.search.budget import Budget, budgets_of, priced_limits
from tfmp.transform.finite_weights import check_finite_weights
from tfmp.transform.fix import fix

_UNDRAWN = 1e-6  # how little a probability counts beside one draw


def assign_by_validation(
    search_model: KerasModel,
    score: Callable[[KerasModel], float],
    *,
    samples: int = 4,
    trials: int = 50,
    budget: Budget | Sequence[Budget] | None = None,
    calibration: Any = None,
    seed: int = 0,
    spend: bool = False,
) -> BitAssignment:
    """Draws assignments from what a search found probable and returns the one whose network has the best score.

    Each tensor draws `trials` times, and the most frequent bits count (EdMIPS, eq. 19 and section 4.7): 1 is
    categorical sampling, more come closer to `tfmp.discretize(strategy="argmax")`. With a budget, the assignment within
    it whose bits were drawn the most often takes the place of one that exceeds it; among bits that were never drawn the
    probabilities decide.

    Args:
        search_model: A relaxed model, trained with `tfmp.MixedPrecisionSearch`. It is not changed.
        score: Function of a network with fixed bits and the searched weights that returns a number, the larger the
            better, such as its accuracy on validation data. It may train it first; then the best of the scores is that
            of a network trained as long.
        samples: How many are drawn. Assignments that are drawn again are not scored again.
        trials: Draws of each tensor.
        budget: A `tfmp.Budget`, or a list of several, that none exceeds; None draws freely.
        calibration: Inputs for `tfmp.fix`, from which each network's normalization is estimated.
        seed: Integer; equal seeds draw equal assignments.
        spend: If True, what an assignment leaves of the budget is spent, as `tfmp.discretize` does by default.

    Returns:
        A `BitAssignment`; its provenance has every assignment drawn with its score.

    Raises:
        ValueError: If a number is out of range, no layer is searched, the search diverged, the budget cannot be met, or
            a score is no finite number.

    Example:
        >>> def accuracy(network):
        ...     network.compile(loss=loss, metrics=["accuracy"])
        ...     return network.evaluate(x_valid, y_valid, return_dict=True)["accuracy"]
        >>> assignment = tfmp.assign_by_validation(search_model, accuracy, samples=8, calibration=x_train[:512])
    """
    check_function("score", score, "a network that returns a number")
    check_integer("samples", samples, at_least=1)
    check_integer("trials", trials, at_least=1)
    check_integer("seed", seed, at_least=0)
    check_flag("spend", spend)
    if budget is not None:
        budgets_of(budget)
    graph = framework_of(search_model, "search_model").read(search_model)
    check_finite_weights(graph)
    if not graph.searched:
        raise ValueError(f"Model `{graph.name}` has no layer whose bits are open. Expected a model from `tfmp.relax`.")
    rng, scores = np.random.default_rng(seed), {}
    for _ in range(samples):
        drawn = _drawn(graph, rng, trials)
        bits = (
            most_probable(drawn) if budget is None else most_probable_within(*priced_limits(budget, drawn), spend=spend)
        )
        key = tuple(bits.items())
        if key not in scores:
            scores[key] = _checked(score(fix(search_model, bits, calibration=calibration)))
    best = max(scores, key=scores.__getitem__)
    recorded = [{"bits": {name: list(pair) for name, pair in key}, "score": value} for key, value in scores.items()]
    return decided(
        graph,
        dict(best),
        strategy="validation",
        budget=budget,
        seed=seed,
        samples=samples,
        trials=trials,
        scores=recorded,
    )


def _drawn(graph: Graph, rng, trials) -> Graph:
    """The graph with how often each candidate was drawn in place of its probability."""
    return graph.replace_layers({layer.name: _drawn_layer(layer, rng, trials) for layer in graph.searched})


def _drawn_layer(layer: Layer, rng, trials):
    weight = _frequencies(layer.weight, rng, trials)
    activation = weight if layer.coupled else _frequencies(layer.activation, rng, trials)
    return dataclasses.replace(
        layer,
        weight=dataclasses.replace(layer.weight, probabilities=weight),
        activation=dataclasses.replace(layer.activation, probabilities=activation),
    )


def _frequencies(selection, rng, trials):
    probabilities = np.asarray(selection.probabilities, np.float64)
    probabilities /= probabilities.sum()
    counts = rng.multinomial(trials, probabilities) + _UNDRAWN * probabilities
    return tuple((counts / counts.sum()).tolist())


def _checked(score):
    try:
        value = float(score)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"`score` must return a finite number, the larger the better. Received: {score!r}")
    return value
