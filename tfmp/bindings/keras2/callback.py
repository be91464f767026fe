"""The search callback of tf_keras."""

import tf_keras

from tfmp.bindings import binding
from tfmp.mixins.mixed_precision_search import MixedPrecisionSearchMixin


class MixedPrecisionSearch(MixedPrecisionSearchMixin, tf_keras.callbacks.Callback):  # noqa: D101 (the mixin says it)
    __doc__ = MixedPrecisionSearchMixin.__doc__

    def set_model(self, model):
        binding.check_callback(model, "tf_keras")
        super().set_model(model)
        if self.prepared_model is not model:
            bound = binding.of(model)
            read = bound.read(model, weights=False)
            self.prepare(read, {layer.name: bound.layer(model, layer.name) for layer in read.searched})
            self.prepared_model = model

    def on_train_begin(self, logs=None):
        found = self.load_backup()
        if found is None:
            return
        epoch, values = found
        *others, learning_rate = values[len(self.model.variables) :]
        for variable, value in zip(self.model.variables, values, strict=False):
            variable.assign(value)
        optimizer = self.model.optimizer
        optimizer.learning_rate.assign(learning_rate)
        getattr(optimizer, "inner_optimizer", optimizer).set_weights(others)
        # `fit` reads its first epoch from here alone; tf_keras.callbacks.BackupAndRestore sets the same attribute.
        self.model._training_state = _ResumedTraining(epoch)

    def on_train_end(self, logs=None):
        if self._backup is not None:
            self.model._training_state = None  # the next `fit` starts where it is told

    def backup_variables(self):
        """The variables of model and optimizer, in a fixed order."""
        optimizer = self.model.optimizer
        if not isinstance(optimizer, tf_keras.optimizers.Optimizer):
            raise ValueError(
                "`backup_dir` needs a `tf_keras.optimizers.Optimizer`. Received: a legacy optimizer, "
                f"{type(optimizer).__name__}; take the class of the same name in `tf_keras.optimizers`."
            )
        optimizer.build(self.model.trainable_variables)
        return [*self.model.variables, *optimizer.variables, optimizer.learning_rate]


class _ResumedTraining:
    """Tells `fit` with which epoch to go on."""

    def __init__(self, epoch):
        self.epoch = epoch

    def maybe_load_initial_counters_from_ckpt(self, steps_per_epoch, initial_epoch, mode):
        return max(self.epoch, initial_epoch), 0
