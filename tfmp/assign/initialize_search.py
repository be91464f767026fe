"""Starts a search at a given bit assignment."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.assign.sensitivity import Sensitivity
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_number
from tfmp.graph import BitAssignment
from tfmp.search.budget import Budget
from tfmp.transform.fix import check_assignment


def initialize_search(
    search_model: KerasModel,
    assignment: BitAssignment | Mapping[str, tuple[int, int]] | Sensitivity,
    *,
    budget: Budget | Sequence[Budget] | None = None,
    confidence: float = 0.9,
) -> None:
    """Sets the logits of a relaxed model so that each tensor prefers the bits of an assignment.

    The assigned bits get the probability `confidence`, and the other candidates share the rest equally. A search then
    starts from there instead of equal probabilities, with any relaxation.

    Args:
        search_model: A relaxed model. It is changed in place.
        assignment: A `BitAssignment`, from `tfmp.assign.by_sensitivity` for example, or a mapping of layer names to
            `(weight_bits, activation_bits)`. It must name every searched layer, with bits among the candidates. Or a
            `tfmp.Sensitivity` of this model, for its best bits within `budget`.
        budget: With a `Sensitivity`, a `tfmp.Budget` or a list of several.
        confidence: Probability of the assigned bits, above that of equal probabilities and below 1.

    Raises:
        ValueError: If the assignment or the `Sensitivity` is for another model, the budget is missing or cannot be met,
            bits are not candidates (or not a coupled pair), or `confidence` is out of range.

    Example:
        >>> tfmp.initialize_search(search_model, assignment, confidence=0.8)
    """
    graph = framework_of(search_model, "search_model").read(search_model, weights=False)
    if isinstance(assignment, Sensitivity):
        if budget is None:
            raise ValueError("A `tfmp.Sensitivity` needs `budget`, within which it chooses bits. Received: budget=None")
        assignment = assignment.of(search_model).assign(budget)
    elif budget is not None:
        raise ValueError(f"`budget` is for a `tfmp.Sensitivity`. Received: {type(assignment).__name__}. Omit it.")
    assignment = BitAssignment.of(assignment)
    check_assignment(graph, assignment)
    logits = []
    for layer in graph.searched:
        if layer.coupled:
            _check_pair(layer, assignment[layer.name])
        built = framework_of(search_model).layer(search_model, layer.name)
        for selector, selection, bits in zip(
            (built.weight_selector, built.activation_selector),
            (layer.weight, layer.activation),
            assignment[layer.name],
            strict=True,
        ):
            if len(selection.formats) > 1:
                logits.append((selector, _logits(layer.name, selection.bits, bits, confidence)))
    for selector, values in logits:  # after all were checked
        scale = float(np.asarray(selector.temperature)) if selector.relaxation == "annealed" else 1.0
        selector.logits.assign(scale * values)


def _check_pair(layer, bits):
    pairs = [(layer.weight.bits[i], layer.activation.bits[j]) for i, j in layer.pairs]
    if tuple(bits) not in pairs:
        raise ValueError(
            f"Layer `{layer.name}`: weights and activations are coupled. Expected one of {', '.join(map(str, pairs))}. "
            f"Received: {tuple(bits)}"
        )


def _logits(name, candidates, bits, confidence):
    if bits not in candidates:
        raise ValueError(
            f"Layer `{name}`: {bits} bits are not a candidate. Expected one of {', '.join(map(str, candidates))}; "
            "relax the model with it among them."
        )
    hint = f"It is the probability of the assigned bits, above the equal chance of {len(candidates)} candidates"
    check_number("confidence", confidence, above=1 / len(candidates), below=1, hint=hint, where=f"Layer `{name}`")
    others = (1 - confidence) / (len(candidates) - 1)
    return np.log(np.where(np.array(candidates) == bits, confidence, others)).astype(np.float32)
