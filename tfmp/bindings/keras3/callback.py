"""The callbacks of Keras 3."""

from typing import Any

import keras

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
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        return [*self.model.variables, *optimizer.variables]


class DiscreteEvaluation(DiscreteEvaluationHooks, keras.callbacks.Callback):  # noqa: D101 (the base says it)
    __doc__ = DiscreteEvaluationHooks.__doc__

    framework_name = "keras"
