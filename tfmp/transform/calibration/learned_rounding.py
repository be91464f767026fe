"""Adds the reconstruction to a corrected network, and resumes it after an interruption."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.files.run_identity import array_digest, described, version
from tfmp.graph.graph_identity import graph_identity
from tfmp.reports import PostTrainingReport, ReconstructedBlock
from tfmp.transform.calibration.correction_trials import CorrectionTrials
from tfmp.transform.reconstruction.reconstruct import reconstruct
from tfmp.transform.reconstruction.reconstruction import Reconstruction
from tfmp.transform.reconstruction.reconstruction_backup import ReconstructionBackup

NAME = "reconstruction"


class LearnedRounding:
    """Learns the rounding of a corrected network, and keeps the result if its error is smaller.

    Args:
        settings: How to learn, and where to save.
        model: The fixed model, as it is before anything is fitted; it identifies the run.
        samples: The calibration data, as `read_samples` returns them.
        loss: The loss, or None.
    """

    def __init__(
        self,
        settings: Reconstruction,
        model: KerasModel,
        samples: Sequence[tuple[Any, tuple[Any, ...]]],
        loss: Callable[..., Any] | None,
    ):
        self._settings = settings
        data = [inputs for inputs, _ in samples] if loss is None else samples  # without the outputs that were computed
        identity = {
            "tfmp": version(),
            "model": graph_identity(framework_of(model).read(model, weights=False)),
            "weights": array_digest(*_values(model)),
            "data": array_digest(*map(np.asarray, tf.nest.flatten(data))),
            "loss": described(loss),
            "settings": {key: value for key, value in described(settings).items() if key != "backup_dir"},
        }
        self._backup = ReconstructionBackup(settings.backup_dir, identity)

    def run(
        self,
        trials: CorrectionTrials,
        error: Callable[[], float],
        correct: Callable[[], PostTrainingReport],
        *,
        verbose: int = 0,
    ) -> PostTrainingReport:
        """Corrects the network of `trials`, or loads it from the backup, and learns its rounding.

        Args:
            trials: The network; its model is then in the chosen state.
            error: Function that computes the error of this model on held-out data.
            correct: Function that corrects this model and returns the report.
            verbose: 1 shows a progress bar.
        """
        model = trials.model
        with self._backup.held():
            saved = self._backup.load()
            if saved is None:
                report = correct()
                corrected = _values(model)
            else:
                state, arrays = saved
                report = _report(state)
                corrected = arrays[: len(model.variables)]
                _assign(model, arrays[len(model.variables) :])
            blocks = list(report.blocks)

            def save(block):
                blocks.append(block)
                state = dataclasses.asdict(dataclasses.replace(report, blocks=tuple(blocks)))
                self._backup.save(state, [*corrected, *_values(model)])

            reconstruct(
                model,
                trials.floating_model(report.taken),
                trials.inputs,
                self._settings,
                num_complete=len(blocks),
                on_block=save,
                verbose=verbose,
            )
            learned_error = error()
            taken = NAME if learned_error < report.errors[report.taken] else report.taken
            if taken != NAME:
                _assign(model, corrected)
            self._backup.remove()
        errors = {**report.errors, NAME: learned_error}
        return dataclasses.replace(report, errors=errors, taken=taken, blocks=tuple(blocks))


def _report(state: Mapping[str, Any]) -> PostTrainingReport:
    """Returns the report of a backup, which has lists for tuples."""
    blocks = tuple(ReconstructedBlock(**{**block, "layers": tuple(block["layers"])}) for block in state["blocks"])
    return PostTrainingReport(**{**state, "corrected": tuple(state["corrected"]), "blocks": blocks})


def _values(model):
    return [np.asarray(variable) for variable in model.variables]


def _assign(model, values):
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)
