"""The API of a trial for strategies."""

import copy
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import keras_tuner

from tfmp.annotations import KerasModel
from tfmp.assign.initialize_search import initialize_search
from tfmp.assign.measure_sensitivity import measure_sensitivity
from tfmp.assign.sensitivity import Sensitivity
from tfmp.bindings.selection_optimizer import SCHEDULED
from tfmp.files.finite_values import NotFiniteError
from tfmp.graph import BitAssignment
from tfmp.search.assignment import most_probable
from tfmp.search.lagrangian import DualAscent
from tfmp.transform.fix import fix
from tfmp.transform.relax import relax
from tfmp.tuner.fit_data import FitData
from tfmp.tuner.mixed_precision_hyper_model import MixedPrecisionHyperModel

_CALIBRATION = 512
_START_CONFIDENCE = 0.6
_RATE_OF_UNKNOWN_LENGTH = 0.02  # of the logits, if the data do not say how many steps an epoch has


class TrialRun:
    """A trial as strategies see it: a float model, a budget, data, and methods to train.

    Args:
        hypermodel: The `MixedPrecisionHyperModel`.
        values: The values from `hypermodel.declare`.
        data: A `FitData`.
        epochs: Total epochs of the trial.
        callbacks: Function that returns new callbacks for a `fit`.
        verbose: As in `fit`.

    Attributes:
        float_model: The trained float model.
        budget: The `tfmp.Budget`.
        seed: Integer.
        search_epochs, finetune_epochs: The parts of `epochs` for a search.
        start: Path of the weights of the nearest budget, from which a search starts, or None.
        keep_search: Function that is called with the model at the end of a search, or None.
        measured: Name to number: metrics that a strategy adds to the trial.
    """

    def __init__(
        self,
        hypermodel: MixedPrecisionHyperModel,
        values: Mapping[str, Any],
        data: FitData,
        *,
        epochs: int | None = None,
        callbacks: Callable[[], Sequence[Any]] = list,
        verbose: int = 0,
    ):
        self.hypermodel, self.values, self.data = hypermodel, values, data
        self.budget, self.loss = values["budget"], hypermodel.training.loss
        training = hypermodel.training
        self.seed = values.get("seed", hypermodel.seed)
        self.epochs = training.search_epochs + training.finetune_epochs if epochs is None else epochs
        self.search_epochs, self.finetune_epochs = training.split(self.epochs)
        self.float_model = self.start = self.keep_search = None
        self.measured: dict[str, float] = {}
        self.callbacks, self._verbose = callbacks, verbose

    @property
    def keras(self) -> ModuleType:
        """The Keras of the model."""
        return self.hypermodel.framework.package

    @functools.cached_property
    def calibration_pair(self) -> tuple[Any, Any]:
        """Returns the first training inputs and their targets."""
        return self.data.first(_CALIBRATION)

    def relaxed(self, **arguments: Any) -> KerasModel:
        """Returns the float model relaxed by the values of the trial, or by other arguments of `tfmp.relax`."""
        arguments = {**self.hypermodel.relax_arguments(self.values), **arguments}
        return relax(self.float_model, calibration=self.calibration_pair[0], **arguments)

    def sensitivity(self, search_model: KerasModel) -> Sensitivity:
        """Returns the scores of a relaxed model: those that were given or measured before, if they are of this model.

        They are measured on the first training inputs, with the loss of the training, once for all budgets.
        """
        known = self.hypermodel.sensitivities
        for each in known:
            if each.is_of(search_model):
                return each.of(search_model)
        loss = self.keras.losses.get(self.loss)
        known.append(measure_sensitivity(search_model, self.calibration_pair, loss=loss))
        return known[-1]

    def search(self, search_model: KerasModel) -> None:
        """Trains a relaxed model under the budget."""
        framework, training, values = self.hypermodel.framework, self.hypermodel.training, self.values
        if self.start is not None:
            search_model.load_weights(self.start)
            # That search has decided: what it chose is likely here, but open.
            chosen = most_probable(framework.read(search_model, weights=False))
            initialize_search(search_model, chosen, confidence=_START_CONFIDENCE)
        rate, has_length = values["selection_learning_rate"], self.data.steps_per_epoch() is not None
        if rate == SCHEDULED and not has_length:
            rate = _RATE_OF_UNKNOWN_LENGTH
        is_scheduled = rate == SCHEDULED
        optimizer = framework.SelectionOptimizer(
            training.new_optimizer(self.keras, values["search_learning_rate"]),
            rate if is_scheduled else self.keras.optimizers.Adam(rate),
        )
        multiplier = None if is_scheduled and not values["multiplier"] else DualAscent(**values["multiplier"])
        search = framework.MixedPrecisionSearch(self.budget, multiplier=multiplier, temperature=values["temperature"])
        self._fit(search_model, optimizer, 0, self.search_epochs, "search", search)
        if self.keep_search is not None:
            self.keep_search(search_model)

    def fine_tuned(
        self, search_model: KerasModel, assignment: BitAssignment | Mapping[str, tuple[int, int]], epochs: int
    ) -> KerasModel:
        """Returns the network at the bits of an assignment, trained for the last epochs of the trial."""
        fixed = fix(search_model, assignment, calibration=self.calibration_pair[0])
        self.train(fixed, epochs)
        return fixed

    def train(self, model: KerasModel, epochs: int) -> None:
        """Trains a model whose bits are fixed for the last epochs of the trial; the learning rate falls to zero."""
        steps = self.data.steps_per_epoch()
        optimizer = self.hypermodel.training.new_optimizer(
            self.keras, self.values["learning_rate"], None if steps is None else steps * epochs
        )
        self._fit(model, optimizer, self.epochs - epochs, epochs, "fine-tuning")

    def train_float(self, model: KerasModel) -> None:
        """Trains a model in floating point."""
        training, steps = self.hypermodel.training, self.data.steps_per_epoch()
        epochs = training.float_epochs
        optimizer = training.new_optimizer(
            self.keras, training.float_learning_rate, None if steps is None else steps * epochs
        )
        self._fit(model, optimizer, 0, epochs, "training in floating point")

    def evaluate(self, model: KerasModel) -> dict[str, float]:
        """Returns loss and metrics on the validation data, as `val_<name>`."""
        self._compile(model, self.keras.optimizers.SGD(0.0))
        metrics = {f"val_{name}": value for name, value in self.data.evaluate(model).items()}
        wrong = [name for name, value in metrics.items() if not math.isfinite(value)]
        if wrong:
            raise keras_tuner.errors.FailedTrialError(f"{wrong[0]} is {metrics[wrong[0]]} on the validation data")
        return metrics

    def _compile(self, model, optimizer):
        metrics = copy.deepcopy(list(self.hypermodel.training.metrics))
        model.compile(optimizer=optimizer, loss=self.loss, metrics=metrics)

    def _fit(self, model, optimizer, first_epoch, epochs, phase, *first_callbacks):
        if not epochs:
            return
        self._compile(model, optimizer)
        try:
            history = model.fit(
                **self.data.fit_arguments(),
                initial_epoch=first_epoch,
                epochs=first_epoch + epochs,
                callbacks=[*first_callbacks, self.keras.callbacks.TerminateOnNaN(), *self.callbacks()],
                verbose=self._verbose,
            ).history
        except NotFiniteError as error:
            raise keras_tuner.errors.FailedTrialError(f"In the {phase}: {error}") from error
        for epoch, loss in enumerate(history["loss"]):
            if not math.isfinite(loss):
                raise keras_tuner.errors.FailedTrialError(
                    f"The loss is {loss} in epoch {epoch + 1} of the {phase}. Lower the learning rate, or remove "
                    "unstable choices."
                )
