"""Post-training quantization: chooses corrections by the error on held-out data."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import received
from tfmp.data.batches import num_samples
from tfmp.data.structure import map_leaves
from tfmp.graph import Graph
from tfmp.reports import PostTrainingReport
from tfmp.transform.calibration.calibrate import calibrate_ranges
from tfmp.transform.calibration.correction_trials import CorrectionTrials
from tfmp.transform.calibration.equalize_if_better import equalize_if_better
from tfmp.transform.calibration.learned_rounding import LearnedRounding
from tfmp.transform.calibration.output_error import MeanLoss, read_samples
from tfmp.transform.reconstruction.reconstruction import Reconstruction

RANGES, MOMENTS, RECONSTRUCTION = LEVELS = ("ranges", "moments", "reconstruction")
PostTraining = bool | str | Reconstruction
_HELD_OUT = 4  # one of this many samples is held out


def level_of(post_training: PostTraining) -> str | Reconstruction:
    """Returns the level that an argument `post_training` names: `"ranges"`, `"moments"` or a `Reconstruction`.

    Raises:
        ValueError: If it is no level.
    """
    if isinstance(post_training, Reconstruction):
        return post_training
    if post_training is True:
        return MOMENTS
    if not isinstance(post_training, str) or post_training not in LEVELS:
        raise ValueError(
            f"`post_training` must be one of {', '.join(map(repr, LEVELS))} or a `tfmp.Reconstruction`; of `tfmp.fix` "
            f"also True or False. Received: {received(post_training)}"
        )
    return Reconstruction() if post_training == RECONSTRUCTION else post_training


def quantize_after_training(
    model: KerasModel,
    floating: Graph,
    data: Any,
    *,
    level: str | Reconstruction = MOMENTS,
    loss: Callable[..., Any] | None = None,
    reestimate: bool = True,
    verbose: int = 0,
) -> PostTrainingReport:
    """Fits a fixed network to data, for use without training.

    Every quantizer gets the range of least squared error at its bits, which is all of level `"ranges"`. At `"moments"`,
    six networks are compared: with these ranges only; with the moments of all layers corrected, in the order of the
    network; with only those corrections that reduce the error; and these three again with re-estimated normalizations.
    A quarter of the samples is held out, and the network with the smallest error on them is chosen. At
    `"reconstruction"`, the rounding of its kernels is learned on the other samples, block by block, and kept if this
    reduces the error on the held-out samples; before all this, channels are equalized under the same condition if a
    kernel has one step for all channels.

    Args:
        model: A fixed model with the weights of the float network, changed in place.
        floating: The model of the float network.
        data: As in `tfmp.data.batches.batches`; with `loss`, inputs and targets, as in `labelled_batches`.
        level: As `level_of` returns it.
        loss: The error, as in `tfmp.transform.calibration.output_error.read_samples`. None for the divergence of the
            output from that in floating point.
        reestimate: False to keep the statistics of normalizations.
        verbose: 1 shows the progress of the reconstruction.
    """
    framework = framework_of(model)
    floating_model = framework.write(floating)
    loss_function, samples = read_samples(floating, floating_model, data, loss=loss, name="`calibration`")
    learned = LearnedRounding(level, model, samples, loss) if isinstance(level, Reconstruction) else None
    calibrate_ranges(model, floating_model, lambda: [inputs for inputs, _ in samples], least_squares=True)
    fitted, held_out = _split(samples)
    errors: dict[str, float] = {}
    if learned is not None:
        floating, errors = equalize_if_better(
            model, floating, [inputs for inputs, _ in samples], lambda each: MeanLoss(each, loss_function, held_out)()
        )
    start = min(errors, key=lambda name: errors[name], default="ranges")
    trials = CorrectionTrials(model, floating, [inputs for inputs, _ in fitted])
    error = MeanLoss(trials.model, loss_function, held_out)

    def corrected() -> PostTrainingReport:
        taken = trials.run(error, start=start, correct=level != RANGES, reestimate=reestimate)
        return PostTrainingReport(
            "divergence from the output in floating point" if loss is None else "loss",
            {**errors, **trials.errors},
            taken,
            corrected=trials.corrected[taken],
            kept_channels=trials.kept_channels[taken],
            num_samples=sum(num_samples(inputs) for inputs, _ in samples),
            num_held_out=sum(num_samples(inputs) for inputs, _ in held_out),
        )

    report = corrected() if learned is None else learned.run(trials, error, corrected, verbose=verbose)
    trials.write_to(model)
    return report


def _split(samples):
    """Splits batches into most samples and every fourth; with fewer than four samples, both are the same."""
    parts, start = ([], []), 0
    for pair in samples:
        is_held_out = (np.arange(start, start + num_samples(pair)) + 1) % _HELD_OUT == 0
        start += len(is_held_out)
        for part, chosen in zip(parts, (~is_held_out, is_held_out), strict=True):
            if chosen.any():
                part.append(map_leaves(lambda array: np.asarray(array)[chosen], pair))  # noqa: B023 (used at once)
    return parts if parts[1] else (samples, samples)
