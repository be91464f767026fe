"""Makes networks at fixed bits from a trained classifier, in each of the ways of a compression."""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel
from tfmp.assign.discretize import discretize
from tfmp.assign.initialize_search import initialize_search
from tfmp.assign.measure_sensitivity import measure_sensitivity
from tfmp.assign.sensitivity import Sensitivity
from tfmp.bindings.framework import framework_of
from tfmp.compression.compression_folder import SENSITIVITY
from tfmp.compression.labelled_samples import LabelledSamples
from tfmp.compression.way_result import WayResult
from tfmp.graph import BitAssignment
from tfmp.search.budget import Budget
from tfmp.tflite.file_metadata import quantized_bits
from tfmp.transform.calibration.post_training import PostTraining
from tfmp.transform.fix import fix
from tfmp.transform.output_kind import holds_probabilities
from tfmp.transform.quantize import quantize
from tfmp.transform.reconstruction.reconstruction import Reconstruction
from tfmp.transform.relax import relax

_CALIBRATION, _SENSITIVITY = 512, 256  # samples
Made = tuple[KerasModel, BitAssignment, Mapping[str, Sequence[float]]]


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
    """How networks are trained.

    Args:
        epochs: Epochs of a training at fixed bits, and of a search; 0 for none.
        batch_size: Samples in a step.
        learning_rate: That of Adam for the weights at the start; it falls to zero as a cosine.
        seed: Integer for the order of the samples.
    """

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 1e-3
    seed: int = 0


class Workshop:
    """Makes networks from one model and its data, and keeps each in a folder, from which an interrupted run resumes.

    Args:
        model: The classifier in floating point.
        samples: Its data.
        plan: How networks are trained.
        work: The folder.
        export: Arguments of `tfmp.export_tflite`.
        shows_progress: Whether progress bars are shown.
    """

    def __init__(
        self,
        model: KerasModel,
        samples: LabelledSamples,
        plan: TrainingPlan,
        *,
        work: pathlib.Path,
        export: Mapping[str, Any],
        shows_progress: bool,
    ):
        self.model, self.samples, self.plan, self.work = model, samples, plan, work
        self.framework = framework_of(model)
        self._export, self._verbose = export, int(shows_progress)
        graph = self.framework.read(model, weights=False)
        self._are_logits = not holds_probabilities(graph, graph.output_names[0])
        self.float_accuracy = self.accuracy(model, samples.validation)

    @property
    def loss(self) -> Any:
        """A new loss for class indices, of the Keras of the model."""
        return self.framework.package.losses.SparseCategoricalCrossentropy(from_logits=self._are_logits)

    def accuracy(self, model: KerasModel, samples: tuple[Any, np.ndarray]) -> float:
        """Returns the share of samples whose class a model predicts, 0 to 1."""
        outputs = np.asarray(model.predict(samples[0], batch_size=self.plan.batch_size, verbose=0))
        return float(np.mean(outputs.argmax(-1) == np.asarray(samples[1]).reshape(outputs.shape[:-1])))

    def result(self, key: str, make: Callable[[], Made]) -> WayResult:
        """Returns the result of a way: the one that its folder has, or else a new one.

        Args:
            key: Name of its folder.
            make: Function that returns the network, its bits and the logs of its training.
        """
        folder = self.work / key
        kept = WayResult.read(folder)
        if kept is not None:
            return kept
        fixed, assignment, history = make()
        return WayResult.write(
            folder, fixed, assignment, validation=self.samples.validation, history=history, export=self._export
        )

    def at_8_bits(self) -> Made:
        """Quantizes the model to 8 bits after training."""
        fixed = quantize(self.model, 8, calibration=self._labelled(_CALIBRATION), loss=self.loss)
        return fixed, self._all_bits(fixed, "int8"), {}

    def relaxed(self, **options: Any) -> KerasModel:
        """Returns the relaxed model; options are arguments of `tfmp.relax`."""
        return relax(self.model, calibration=self.samples.inputs(_CALIBRATION), seed=self.plan.seed, **options)

    def sensitivity(self, search_model: KerasModel) -> Sensitivity:
        """Returns the sensitivities of a relaxed model, which are measured once."""
        path = self.work / SENSITIVITY
        if path.exists():
            return Sensitivity.load(path, search_model)
        measured = measure_sensitivity(
            search_model,
            self.samples.inputs(_SENSITIVITY),
            divergence="kl",
            backup=f"{path}.backup",
            verbose=self._verbose,
        )
        measured.save(path)
        return measured

    def post_trained(self, search_model: KerasModel, assignment: BitAssignment, *, rounding: bool = False) -> Made:
        """Fixes bits after training; `rounding` also learns whether each weight is rounded down or up."""
        level: PostTraining = "moments"
        if rounding:
            level = Reconstruction(seed=self.plan.seed, backup_dir=self.work / "rounding")
        data = self._labelled(_CALIBRATION)
        verbose = self._verbose if rounding else 0
        fixed = fix(search_model, assignment, calibration=data, post_training=level, loss=self.loss, verbose=verbose)
        return fixed, assignment, {}

    def fine_tuned(self, search_model: KerasModel, assignment: BitAssignment, *, backup: str) -> Made:
        """Trains the network at given bits; `backup` names the folder from which an interrupted training resumes."""
        fixed = fix(search_model, assignment, calibration=self.samples.inputs(_CALIBRATION))
        keras = self.framework.package
        steps = self.plan.epochs * -(-len(self.samples.train[1]) // self.plan.batch_size)
        rate = keras.optimizers.schedules.CosineDecay(self.plan.learning_rate, steps)
        resuming = keras.callbacks.BackupAndRestore(os.fspath(self.work / backup))
        return fixed, assignment, self._fit(fixed, keras.optimizers.Adam(rate), resuming)

    def searched(self, search_model: KerasModel, budgets: Sequence[Budget], sensitivity: Sensitivity) -> Made:
        """Searches bits within budgets from the best ones by sensitivities, and trains the network at them."""
        initialize_search(search_model, sensitivity, budget=list(budgets))
        search = self.framework.MixedPrecisionSearch(list(budgets), backup_dir=self.work / "search-backup")
        weights = self.framework.package.optimizers.Adam(self.plan.learning_rate)
        history = self._fit(search_model, self.framework.SelectionOptimizer(weights), search)
        assignment = discretize(search_model, strategy="budget", budget=list(budgets))
        fixed, _, later = self.fine_tuned(search_model, assignment, backup="search-training")
        names = dict.fromkeys((*history, *later))
        return fixed, assignment, {name: [*history.get(name, ()), *later.get(name, ())] for name in names}

    def _fit(self, model, optimizer, callback):
        self.framework.package.utils.set_random_seed(self.plan.seed)
        model.compile(optimizer=optimizer, loss=self.loss, metrics=["accuracy"])
        options = {"batch_size": self.plan.batch_size, "epochs": self.plan.epochs, "verbose": self._verbose}
        logs = model.fit(*self.samples.train, validation_data=self.samples.validation, callbacks=[callback], **options)
        return logs.history

    def _labelled(self, count):
        return self.samples.inputs(count), self.samples.train[1][:count]

    def _all_bits(self, fixed: KerasModel, way: str) -> BitAssignment:
        graph = self.framework.read(fixed, weights=False)
        return BitAssignment(quantized_bits(graph), provenance={"model": graph.name, "strategy": way})
