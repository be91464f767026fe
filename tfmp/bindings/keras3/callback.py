"""The search callback of Keras 3."""

import keras

from tfmp.bindings.framework import check_callback
from tfmp.bindings.keras3 import graph
from tfmp.bindings.keras3.selection_step import hold_logits, selection_step
from tfmp.bindings.selection_variables import start_variables
from tfmp.mixins.mixed_precision_search import MixedPrecisionSearchMixin


class MixedPrecisionSearch(MixedPrecisionSearchMixin, keras.callbacks.Callback):  # noqa: D101 (the mixin says it)
    __doc__ = MixedPrecisionSearchMixin.__doc__

    def set_model(self, model):
        check_callback(model, "keras")
        super().set_model(model)
        if self.prepared_model is not model:
            found = graph.read(model, weights=False)
            self.prepare(found, {layer.name: graph.layer(model, layer.name) for layer in found.searched})
            self.prepared_model = model

    def resume_at(self, epoch):
        """Lets `fit` begin with an epoch; None: with the one that it is told."""
        # `fit` reads its first epoch from here alone; keras.callbacks.BackupAndRestore sets the same attribute.
        self.model._initial_epoch = epoch

    def hold_logits(self, are_held):
        """Lets the training steps leave the logits as they are, or move them again."""
        hold_logits(self.model, are_held)

    def selection_step(self):
        """Returns the step of the logits alone."""
        return selection_step(self.model)

    def named_variables(self):
        """Pairs of the path and the values of every variable of the model."""
        return ((variable.path, variable.numpy()) for variable in self.model.variables)

    def start_variables(self):
        """The variables that say what the search starts from, see `tfmp.bindings.selection_variables`."""
        return start_variables(self.model.variables, lambda variable: variable.path)

    def backup_variables(self):
        """The variables of model and optimizer, in a fixed order."""
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        return [*self.model.variables, *optimizer.variables]
