"""The callbacks of tf_keras."""

from typing import Any

import tf_keras

from tfmp.bindings.bit_summaries import BitSummariesHooks
from tfmp.bindings.discrete_evaluation import DiscreteEvaluationHooks
from tfmp.bindings.keras2.optimizer import SelectionOptimizer
from tfmp.bindings.search_hooks import SearchHooks
from tfmp.mixins.mixed_precision_search import MixedPrecisionSearchMixin


class MixedPrecisionSearch(SearchHooks, tf_keras.callbacks.Callback):  # noqa: D101 (the mixin says it)
    __doc__ = MixedPrecisionSearchMixin.__doc__

    framework_name = "tf_keras"

    def resume_at(self, epoch: int | None) -> None:
        """Makes `fit` start at an epoch; None for its own `initial_epoch`."""
        # `fit` reads its first epoch only from here; tf_keras.callbacks.BackupAndRestore sets the same attribute.
        self.model._training_state = None if epoch is None else _ResumedTraining(epoch)

    def backup_variables(self) -> list[Any]:
        """Returns the variables of model and optimizer, in a fixed order."""
        optimizer = self.model.optimizer
        if not isinstance(optimizer, tf_keras.optimizers.Optimizer):
            raise ValueError(
                "`backup_dir` needs a `tf_keras.optimizers.Optimizer`. Received: a legacy optimizer, "
                f"{type(optimizer).__name__}; take the class of the same name in `tf_keras.optimizers`."
            )
        self.build_optimizer()
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        counters = inner.counters if isinstance(inner, SelectionOptimizer) else []
        return [*self.model.variables, *optimizer.variables, *counters, optimizer.learning_rate]

    def build_optimizer(self) -> None:
        """Creates the variables of the optimizer if the model has one that is not a legacy optimizer."""
        optimizer = getattr(self.model, "optimizer", None)  # set by `compile`
        if isinstance(optimizer, tf_keras.optimizers.Optimizer):
            with self.model.distribute_strategy.scope():
                optimizer.build(self.model.trainable_variables)


class DiscreteEvaluation(DiscreteEvaluationHooks, tf_keras.callbacks.Callback):  # noqa: D101 (the base says it)
    __doc__ = DiscreteEvaluationHooks.__doc__

    framework_name = "tf_keras"


class _ResumedTraining:
    """Provides the epoch at which `fit` continues."""

    def __init__(self, epoch):
        self.epoch = epoch

    def maybe_load_initial_counters_from_ckpt(self, steps_per_epoch, initial_epoch, mode):
        return max(self.epoch, initial_epoch), 0


class BitSummaries(BitSummariesHooks, tf_keras.callbacks.Callback):  # noqa: D101 (the base says it)
    __doc__ = BitSummariesHooks.__doc__

    framework_name = "tf_keras"
