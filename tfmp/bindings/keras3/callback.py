"""The callbacks of Keras 3."""

from typing import Any

import keras

from tfmp.bindings.bit_summaries import BitSummariesHooks
from tfmp.bindings.discrete_evaluation import DiscreteEvaluationHooks
from tfmp.bindings.search_hooks import SearchHooks
from tfmp.mixins.mixed_precision_search import MixedPrecisionSearchMixin


class MixedPrecisionSearch(SearchHooks, keras.callbacks.Callback):  # noqa: D101 (the mixin says it)
    __doc__ = MixedPrecisionSearchMixin.__doc__

    framework_name = "keras"

    def resume_at(self, epoch: int | None) -> None:
        """Makes `fit` start at an epoch; None for its own `initial_epoch`."""
        # `fit` reads its first epoch only from here; keras.callbacks.BackupAndRestore sets the same attribute.
        self.model._initial_epoch = epoch

    def backup_variables(self) -> list[Any]:
        """Returns the variables of model and optimizer, in a fixed order."""
        self.build_optimizer()
        return [*self.model.variables, *self.model.optimizer.variables]

    def build_optimizer(self) -> None:
        """Creates the variables of the optimizer if the model has one."""
        optimizer = getattr(self.model, "optimizer", None)  # set by `compile`
        if optimizer is not None and not optimizer.built:
            with self.model.distribute_strategy.scope():
                optimizer.build(self.model.trainable_variables)


class DiscreteEvaluation(DiscreteEvaluationHooks, keras.callbacks.Callback):  # noqa: D101 (the base says it)
    __doc__ = DiscreteEvaluationHooks.__doc__

    framework_name = "keras"


class BitSummaries(BitSummariesHooks, keras.callbacks.Callback):  # noqa: D101 (the base says it)
    __doc__ = BitSummariesHooks.__doc__

    framework_name = "keras"
