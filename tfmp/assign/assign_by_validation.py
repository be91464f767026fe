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
from tfmp.transform.fix import fix
from tfmp.transform.model_checks import check_finite_weights

_UNDRAWN = 1e-6  # weight of a probability relative to one draw


def by_validation(
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
    """Draws assignments from the probabilities of a search and returns the one whose network has the best score.

    Each tensor draws `trials` times and takes the most frequent bits (EdMIPS, eq. 19 and section 4.7): 1 is categorical
    sampling, more are closer to `tfmp.discretize(strategy="argmax")`. With a budget, an assignment that exceeds it is
    replaced by the one within it whose bits were drawn most often; among bits that were never drawn, the probabilities
    decide.

    Args:
        search_model: A relaxed model, trained with `tfmp.MixedPrecisionSearch`. It is not changed.
        score: Function of a network with fixed bits and the searched weights. It returns a number, larger is better,
            such as the accuracy on validation data. It may train the network first.
        samples: Number of draws. An assignment that is drawn again is not scored again.
        trials: Draws per tensor.
        budget: A `tfmp.Budget`, or a list of several, that all assignments meet; None draws freely.
        calibration: Inputs for `tfmp.fix`, with which the normalization of each network is estimated.
        seed: Integer; equal seeds draw equal assignments.
        spend: If True, the rest of the budget is spent, as `tfmp.discretize` does by default.

    Returns:
        A `BitAssignment`; its provenance has every assignment drawn with its score.

    Raises:
        ValueError: If a number is out of range, no layer is searched, the search diverged, the budget cannot be met, or
            a score is not a finite number.

    Example:
        >>> def accuracy(network):
        ...     network.compile(loss=loss, metrics=["accuracy"])
        ...     return network.evaluate(x_valid, y_valid, return_dict=True)["accuracy"]
        >>> assignment = tfmp.assign.by_validation(search_model, accuracy, samples=8, calibration=x_train[:512])
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
    """Returns the graph with the number of draws of each candidate instead of its probability."""
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
