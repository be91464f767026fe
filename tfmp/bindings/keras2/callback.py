"""The search callback of tf_keras."""

import tf_keras

from tfmp.bindings.framework import check_callback, framework_of
from tfmp.bindings.keras2.optimizer import SelectionOptimizer
from tfmp.bindings.keras2.selection_step import hold_logits, selection_step
from tfmp.bindings.selection_variables import start_variables
from tfmp.mixins.mixed_precision_search import MixedPrecisionSearchMixin


class MixedPrecisionSearch(MixedPrecisionSearchMixin, tf_keras.callbacks.Callback):  # noqa: D101 (the mixin says it)
    __doc__ = MixedPrecisionSearchMixin.__doc__

    def set_model(self, model):
        check_callback(model, "tf_keras")
        super().set_model(model)
        if self.prepared_model is not model:
            framework = framework_of(model)
            read = framework.read(model, weights=False)
            self.prepare(read, {layer.name: framework.layer(model, layer.name) for layer in read.searched})
            self.prepared_model = model

    def resume_at(self, epoch):
        """Lets `fit` begin with an epoch; None: with the one that it is told."""
        # `fit` reads its first epoch from here alone; tf_keras.callbacks.BackupAndRestore sets the same attribute.
        self.model._training_state = None if epoch is None else _ResumedTraining(epoch)

    def hold_logits(self, are_held):
        """Lets the training steps leave the logits as they are, or move them again."""
        hold_logits(self.model, are_held)

    def selection_step(self):
        """Returns the step of the logits alone."""
        return selection_step(self.model)

    def named_variables(self):
        """Pairs of the path and the values of every variable of the model."""
        return ((variable.name, variable.numpy()) for variable in self.model.variables)

    def start_variables(self):
        """The variables that say what the search starts from, see `tfmp.bindings.selection_variables`."""
        return start_variables(self.model.variables, lambda variable: variable.name)

    def backup_variables(self):
        """The variables of model and optimizer, in a fixed order."""
        optimizer = self.model.optimizer
        if not isinstance(optimizer, tf_keras.optimizers.Optimizer):
            raise ValueError(
                "`backup_dir` needs a `tf_keras.optimizers.Optimizer`. Received: a legacy optimizer, "
                f"{type(optimizer).__name__}; take the class of the same name in `tf_keras.optimizers`."
            )
        optimizer.build(self.model.trainable_variables)
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        counters = inner.counters if isinstance(inner, SelectionOptimizer) else []
        return [*self.model.variables, *optimizer.variables, *counters, optimizer.learning_rate]


class _ResumedTraining:
    """Tells `fit` with which epoch to go on."""

    def __init__(self, epoch):
        self.epoch = epoch

    def maybe_load_initial_counters_from_ckpt(self, steps_per_epoch, initial_epoch, mode):
        return max(self.epoch, initial_epoch), 0
