"""Measures the sensitivity of every candidate of every searched tensor."""

import importlib.metadata
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.assign.finest_network import FinestNetwork
from tfmp.assign.gradient_scores import GradientScores
from tfmp.assign.network_identity import network_identity
from tfmp.assign.output_scores import OutputScores
from tfmp.assign.sensitivity import Sensitivity, scores_text
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_choice, check_function, check_integer, check_path
from tfmp.data.batches import num_samples
from tfmp.data.structure import leaves
from tfmp.files.run_identity import array_digest, difference_text
from tfmp.graph import Layer
from tfmp.transform.calibration.calibrate import calibrate_ranges
from tfmp.transform.calibration.output_error import DIVERGENCES, read_samples
from tfmp.transform.model_checks import check_finite_weights
from tfmp.transform.relax import relax
from tfmp.version import VERSION

SCORES = ("output", "gradient")
_LEAST_SAMPLES = 8


def measure_sensitivity(
    search_model: KerasModel,
    data: Any,
    *,
    method: str = "output",
    loss: Callable[..., Any] | None = None,
    divergence: str | None = None,
    backup: str | os.PathLike[str] | None = None,
    seed: int = 0,
    verbose: int = 0,
) -> Sensitivity:
    """Measures how much the output error grows with each tensor alone at each of its candidates.

    `Sensitivity.assign` then finds the best bits within any budget, and `Sensitivity.forecast` says whether mixed bits
    will pay.

    - `"output"` tries every candidate of every tensor, with all others at 8 bits and ranges of least squared error. The
      moments of the layer's output are corrected, as `tfmp.fix(..., post_training=True)` does. This takes a pass over
      the data for each candidate.
    - `"gradient"` estimates the same to second order, from squared gradients and squared rounding errors: one pass
      over the data for all layers and candidates, one sample at a time. It is for large networks. It does not see what
      the correction of moments repairs, and is least accurate at 1 and 2 bits, where errors are not small.

    Args:
        search_model: A relaxed model, trained or not; or a float model, which is then relaxed with the defaults of
            `tfmp.relax` for names and candidates. It is not changed.
        data: Inputs in any form that `tfmp.relax` takes, at least 8, better a few hundred; they are kept in memory.
            With `loss`, they have targets: (inputs, targets), or batches of these.
        method: `"output"` or `"gradient"`.
        loss: Function of (targets, outputs), such as a loss object of Keras, or of (targets, outputs, sample_weight)
            if the data have weights: the scores are its increase. Without it, they are the divergence of the output
            from that of the float network, which needs no targets. `"gradient"` needs a mean over the samples.
        divergence: `"kl"` for outputs that are probabilities or logits of classes; `"squared_error"`, in units of the
            output's variance; None uses `"kl"` if the output is a softmax.
        backup: Path of a file for `"output"` that keeps the scores of finished layers. If the process is killed, the
            same call continues after them; the file is removed at the end.
        seed: Integer, for the random directions of `"gradient"` without `loss`.
        verbose: 1 shows a progress bar, 2 prints a line per layer.

    Returns:
        A `Sensitivity`.

    Raises:
        ValueError: If no layer is searched, there are too few samples, data or weights are not finite, the backup is of
            another measurement, or an argument is wrong.

    Example:
        >>> sensitivity = tfmp.measure_sensitivity(search_model, x_train[:256])
        >>> sensitivity.save("sensitivity.json")
        >>> assignment = sensitivity.assign(tfmp.Budget("bitops", like_uniform=(4, 4)))
    """
    check_choice("method", method, SCORES)
    if loss is not None:
        check_function("loss", loss, "targets and outputs")
    if divergence is not None:
        check_choice("divergence", divergence, DIVERGENCES)
    if backup is not None:
        check_path("backup", backup)
    check_integer("seed", seed, at_least=0)
    check_choice("verbose", verbose, (0, 1, 2))
    search_model = searchable(search_model)
    framework = framework_of(search_model)
    graph = framework.read(search_model)
    check_finite_weights(graph)
    network = FinestNetwork(graph)
    error, samples = read_samples(network.graph, network.floating, data, loss=loss, divergence=divergence)
    count = sum(num_samples(inputs) for inputs, _ in samples)
    if count < _LEAST_SAMPLES:
        raise ValueError(
            f"`data` must have at least {_LEAST_SAMPLES} samples. Received: {count}. Scores are means over samples: "
            f"with fewer than {_LEAST_SAMPLES}, their standard error is above half of their value. Give a few hundred."
        )
    used = samples if loss is not None else [inputs for inputs, _ in samples]
    identity: dict[str, Any] = {
        "method": method,
        "error": _error_name(loss, divergence),
        "model": network_identity(graph),
        "data": {"num_samples": count, "digest": array_digest(*map(np.asarray, leaves(used)))},
        "versions": {
            "tfmp": VERSION,
            **{name: importlib.metadata.version(name) for name in (graph.framework, "tensorflow")},
        },
    }
    finished = _finished_layers(backup, identity)
    calibrate_ranges(network.model, network.floating, lambda: [inputs for inputs, _ in samples], least_squares=True)
    progress = _Progress(framework, verbose)
    if method == "gradient":
        gradients = GradientScores(network, graph.searched, samples, loss=loss, divergence=divergence, seed=seed)
        progress.expect(gradients.num_samples, "sample")
        measured, eight_bit_error = gradients.measure(progress.reach)
        scores = {layer.name: _by_bits(layer, measured[layer.name]) for layer in graph.searched}
        for name, tensors in scores.items():
            progress.show(name, tensors)
    else:
        progress.expect(len(graph.searched), "layer")
        outputs, scores = OutputScores(network, error, samples), {}
        eight_bit_error = outputs.eight_bit_error
        for number, layer in enumerate(graph.searched):
            scores[layer.name] = finished.get(layer.name) or _by_bits(layer, outputs.of(layer))
            progress.reach(number + 1)
            progress.show(layer.name, scores[layer.name])
            if backup is not None:
                Sensitivity(scores, **identity).save(backup, overwrite=True)
    if backup is not None:
        pathlib.Path(backup).unlink(missing_ok=True)
    searched = framework.read(search_model, weights=False)
    return Sensitivity(scores, **identity, eight_bit_error=eight_bit_error, graph=searched)


def searchable(model: KerasModel, argument: str = "search_model") -> KerasModel:
    """Returns a relaxed model itself; a float model is relaxed with the defaults of `tfmp.relax`.

    Args:
        model: The model.
        argument: Its name in errors.

    Raises:
        ValueError: If no layer is searched.
    """
    graph = framework_of(model, argument).read(model, weights=False)
    if not any(layer.is_quantized for layer in graph.layers.values()):
        model = relax(model)
        graph = framework_of(model).read(model, weights=False)
    if not graph.searched:
        raise ValueError(f"Model `{graph.name}` has no layer whose bits are open. Expected a model from `tfmp.relax`.")
    return model


def _error_name(loss, divergence):
    if loss is None:
        return divergence or "divergence"
    return f"loss {getattr(loss, '__name__', type(loss).__name__)}"


def _finished_layers(backup, identity):
    """Returns the scores of the layers that an interrupted measurement has finished."""
    if backup is None or not os.path.exists(backup):
        return {}
    kept = Sensitivity.load(backup)
    difference = difference_text({name: getattr(kept, name) for name in identity}, identity)
    if difference:
        raise ValueError(
            f"The backup {os.fspath(backup)!r} is of another measurement: {difference}. Remove it, or give another "
            "path."
        )
    return kept.scores


def _by_bits(layer: Layer, scores: tuple[np.ndarray, np.ndarray]) -> dict[str, dict[int, float]]:
    """Returns the scores of a layer's kernel and input by bits.

    Raises:
        ValueError: If one is not finite.
    """
    if not all(np.isfinite(values).all() for values in scores):
        raise ValueError(
            f"Layer `{layer.name}`: the output is not finite at some of its candidates, {scores}. Check that the "
            "network in floating point and the loss are finite on the data."
        )
    pairs = zip(("weights", "activations"), (layer.weight, layer.activation), scores, strict=True)
    return {tensor: dict(zip(candidates.bits, values.tolist(), strict=True)) for tensor, candidates, values in pairs}


class _Progress:
    """Shows the progress of a measurement: a bar, or a line per layer."""

    def __init__(self, framework, verbose):
        self._framework, self._verbose = framework, verbose
        self._bar = None

    def expect(self, count, unit):
        if self._verbose == 1:
            self._bar = self._framework.package.utils.Progbar(count, unit_name=unit)

    def reach(self, number):
        if self._bar is not None:
            self._bar.update(number)

    def show(self, name, tensors):
        if self._verbose == 2:
            print(f"{name}: {scores_text(tensors)}", flush=True)
