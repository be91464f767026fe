"""The search callback of Keras 3."""

import keras

from tfmp.bindings import binding
from tfmp.bindings.keras3 import graph
from tfmp.mixins.mixed_precision_search import MixedPrecisionSearchMixin


class MixedPrecisionSearch(MixedPrecisionSearchMixin, keras.callbacks.Callback):  # noqa: D101 (the mixin says it)
    __doc__ = MixedPrecisionSearchMixin.__doc__

    def set_model(self, model):
        binding.check_callback(model, "keras")
        super().set_model(model)
        if self.prepared_model is not model:
            found = graph.read(model, weights=False)
            self.prepare(found, {layer.name: graph.layer(model, layer.name) for layer in found.searched})
            self.prepared_model = model

    def on_train_begin(self, logs=None):
        found = self.load_backup()
        if found is None:
            return
        epoch, values = found
        for variable, value in zip(self.backup_variables(), values, strict=True):
            variable.assign(value)
        # `fit` reads its first epoch from here alone; keras.callbacks.BackupAndRestore sets the same attribute.
        self.model._initial_epoch = epoch

    def on_train_end(self, logs=None):
        if self._backup is not None:
            self.model._initial_epoch = None  # the next `fit` starts where it is told

    def backup_variables(self):
        """The variables of model and optimizer, in a fixed order."""
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        return [*self.model.variables, *optimizer.variables]
