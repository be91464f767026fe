"""`tfmp.fix`: a model with fixed bits."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tfmp import quantizers
from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_choice, check_function
from tfmp.graph import BitAssignment, Candidates, Graph, Layer
from tfmp.search.search_settings import quantizer_pair, saved_quantizer
from tfmp.search.searched_cost import chosen_layers, with_stored_inputs
from tfmp.transform.calibration.calibrate import reestimate_normalization
from tfmp.transform.calibration.familiar_data import is_familiar
from tfmp.transform.calibration.post_training import PostTraining, level_of, quantize_after_training
from tfmp.transform.edits.floating_point import in_floating_point
from tfmp.transform.model_checks import check_finite_weights


def fix(
    search_model: KerasModel,
    assignment: BitAssignment | Mapping[str, tuple[int, int]],
    *,
    calibration: Any = None,
    post_training: PostTraining = False,
    loss: Callable[..., Any] | None = None,
    verbose: int = 0,
) -> KerasModel:
    """Returns the network with the bits of an assignment, with the same layers, names and weights.

    Its quantizers start from the ranges of the search and can be trained. If each candidate has a kernel, that of the
    chosen candidate is used; for bits that were not a candidate, that of the widest. Train the network like any model;
    or, with `post_training`, use it without training.

    Args:
        search_model: A relaxed model, trained or not. It is not changed.
        assignment: A `BitAssignment`, or a mapping of layer names to `(weight_bits, activation_bits)`. It must name
            every searched layer; bits outside the candidates are allowed if the quantizer supports them.
        calibration: Inputs in any form that `tfmp.relax` takes. The statistics of batch normalization depend on the
            bits and are re-estimated on them. Channels that are constant there keep their statistics. All channels
            keep them, with a warning, if the data differ from the training data. With `post_training`, the inputs are
            kept in memory.
        post_training: What is fitted if there is no training, neither a search before nor the network after; see
            `tfmp.quantize`. True is `"moments"`. With False, quantizers keep the ranges of the search.
        loss: With `post_training`, the error: a function of (targets, outputs), such as a loss object of Keras;
            `calibration` is then (inputs, targets). Without it, the error is the divergence of the output from that in
            floating point.
        verbose: 1 prints what `post_training` tried, chose and changed, and shows the progress of a reconstruction.

    Returns:
        A model of the same framework, not compiled.

    Raises:
        ValueError: If the model is not relaxed or its weights are not finite, the assignment is for another model, bits
            are out of range, `post_training` comes without calibration data, or `loss` without `post_training`.
    """
    level = None if post_training is False else level_of(post_training)
    if level is not None and calibration is None:
        raise ValueError(
            f"`post_training={post_training!r}` needs `calibration`, a few hundred inputs, for ranges and biases. "
            "Received: None"
        )
    if loss is not None and level is None:
        raise ValueError("`loss` needs `post_training=True`. Received a loss with `post_training=False`.")
    if loss is not None:
        check_function("loss", loss, "targets and outputs")
    check_choice("verbose", verbose, (0, 1))
    framework = framework_of(search_model, "search_model")
    graph = framework.read(search_model)
    check_finite_weights(graph)
    assignment = BitAssignment.of(assignment)
    check_assignment(graph, assignment)
    changed = {layer.name: _fixed(layer, *assignment[layer.name]) for layer in chosen_layers(graph)}
    fixed = framework.write(_with_shared_grids(graph.replace_layers(changed), changed))
    if calibration is None:
        return fixed
    floating = in_floating_point(graph)
    # If the model was trained, its normalizations were trained at its bits, otherwise in floating point.
    familiar = is_familiar(_models_of(search_model, floating), calibration)
    if level is not None:
        report = quantize_after_training(
            fixed, floating, calibration, level=level, loss=loss, reestimate=familiar, verbose=verbose
        )
        if verbose:
            print(report)
    elif familiar:
        reestimate_normalization(fixed, calibration)
    return fixed


def _models_of(search_model, floating):
    yield search_model
    yield framework_of(search_model).write(floating)


def check_assignment(graph: Graph, assignment: BitAssignment) -> None:
    """Raises `ValueError` unless the assignment names exactly the searched layers of the graph."""
    searched = [layer.name for layer in chosen_layers(graph)]
    if not searched:
        raise ValueError(
            f"Model `{graph.name}` has no layer whose bits are open or chosen. Expected a model from `tfmp.relax`."
        )
    unknown = [name for name in assignment if name not in searched]
    missing = [name for name in searched if name not in assignment.bits]
    if unknown or missing:
        raise ValueError(
            f"The assignment is not for model `{graph.name}`. "
            f"Layers it names that are not searched there: {', '.join(unknown) or 'none'}; "
            f"searched layers it lacks: {', '.join(missing) or 'none'}"
        )


def _fixed(layer: Layer, weight_bits: int, activation_bits: int) -> Layer:
    names = quantizer_pair(layer.origin.config["quantizer"])
    fixed: dict[str, Candidates] = {}
    for tensor, candidates, bits, name in (
        ("weight", layer.weight, weight_bits, names[0]),
        ("activation", layer.activation, activation_bits, names[1]),
    ):
        fixed[tensor] = candidates if candidates.formats[0].is_float else _chosen(candidates, name, bits)
    weights = layer.weights
    if weight_bits in layer.weight.kernels:
        weights = {**weights, "kernel": layer.weight.kernels[weight_bits]}
    return dataclasses.replace(layer.with_candidates(**fixed), weights=weights, coupled=False, price=None)


def _with_shared_grids(graph: Graph, names: Iterable[str]) -> Graph:
    """Returns a fixed network with one grid for a stored tensor and its readers of 8 bits."""
    changed = {}
    for layer in map(with_stored_inputs(graph, names).layers.__getitem__, names):
        if layer.activation.is_stored:
            pair = saved_quantizer((layer.weight.quantizer, layer.activation.quantizer))
            changed[layer.name] = layer.with_candidates(layer.weight, layer.activation, quantizer=pair)
    return graph.replace_layers(changed)


def _chosen(candidates: Candidates, name: str, bits: int) -> Candidates:
    """One precision, with its own state where each candidate has one, else with what follows from the widest one's."""
    chosen = quantizers.get(name, bits=bits, signed=candidates.signed)
    widest = quantizers.get(name, bits=max(candidates.bits), signed=candidates.signed)
    own = candidates.own_state(bits)
    return Candidates.of([chosen], states=(chosen.convert_state(candidates.state, widest) if own is None else own,))
