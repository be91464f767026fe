"""Optimizers of searches in tf_keras."""

from collections.abc import Sequence
from typing import Any

import tf_keras
from numpy.typing import ArrayLike

from tfmp.bindings.logits_training import LogitsOptimizer
from tfmp.bindings.selection_optimizer import RELATIVE, SCHEDULED, SelectionOptimizerMixin


@tf_keras.saving.register_keras_serializable(package="tfmp")
class SelectionOptimizer(SelectionOptimizerMixin, tf_keras.optimizers.Optimizer):  # noqa: D101 (the mixin says it)
    __doc__ = SelectionOptimizerMixin.__doc__

    optimizers_module = tf_keras.optimizers

    def __init__(
        self,
        weights: Any = "sgd",
        selection: Any = SCHEDULED,
        *,
        ranges: Any = RELATIVE,
        name: str = "selection_optimizer",
    ):
        super().__init__(name=name)
        self._take(weights, selection, ranges)
        self.iterations = self.weights_optimizer.iterations

    def _groups(self, items, variable_of=lambda item: item):
        """Returns each optimizer with its items; a function returns the variable of an item."""
        optimizers = self.optimizers_by_group
        groups = {group: [] for group in optimizers}
        for item in items:
            groups[self.group_at(variable_of(item).name)].append(item)
        return [(optimizers[group], members) for group, members in groups.items()]

    def build(self, var_list: Sequence[Any]) -> None:
        for optimizer, items in self._groups(var_list):
            optimizer.build(items)

    def apply_gradients(
        self, grads_and_vars: Any, name: str | None = None, skip_gradients_aggregation: bool = False, **kwargs: Any
    ) -> Any:
        for optimizer, items in self._groups(grads_and_vars, lambda pair: pair[1]):
            held = self.holds_logits and optimizer is self.selection_optimizer
            if not held and any(gradient is not None for gradient, _ in items):
                optimizer.apply_gradients(items, skip_gradients_aggregation=skip_gradients_aggregation, **kwargs)
        return self.iterations

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        for optimizer, items in self._groups(var_list):
            optimizer.finalize_variable_values(items)

    @property
    def variables(self) -> Any:
        # An HDF5 file has one counter of steps. The optimizers step together except for held logits, whose steps such a
        # file does not count.
        variables = super().variables
        variables[:] = self.weights_optimizer.variables
        for optimizer in self._others():
            variables += [variable for variable in optimizer.variables if variable is not optimizer.iterations]
        return variables

    @property
    def counters(self) -> list[Any]:
        """Returns the counters of steps that `variables` omits."""
        return [optimizer.iterations for optimizer in self._others()]

    def _others(self):
        return [o for o in (self.selection_optimizer, self.ranges_optimizer) if o is not None]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)
        for optimizer in self._others():
            optimizer.iterations.assign(self.weights_optimizer.iterations)

    def save_own_variables(self, store: Any) -> None:
        """Stores nothing: a `.keras` file has the variables of all optimizers under their names."""

    def load_own_variables(self, store: Any) -> None:
        """Loads nothing, see `save_own_variables`."""

    def __repr__(self):
        # The other Keras refuses it with an error that shows only this text.
        return "<tfmp.keras2.SelectionOptimizer of tf_keras; Keras 3 takes tfmp.SelectionOptimizer>"


class Keras2LogitsOptimizer(LogitsOptimizer):
    """Updates logits in tf_keras."""

    def __init__(self, optimizer, scaler, logits):
        super().__init__(optimizer, scaler, logits)
        optimizer.build(logits)

    def scaled(self, loss):
        return loss if self.scaler is None else self.scaler.get_scaled_loss(loss)

    def unscaled(self, gradients):
        return gradients if self.scaler is None else self.scaler.get_unscaled_gradients(gradients)

    def move(self, gradients):
        self.optimizer.apply_gradients(zip(gradients, self.logits, strict=True))
