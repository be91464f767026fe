"""Optimizers of searches in Keras 3."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfmp.annotations import Tensor
from tfmp.bindings.logits_training import LogitsOptimizer
from tfmp.bindings.selection_optimizer import RELATIVE, SCHEDULED, SelectionOptimizerMixin


@keras.saving.register_keras_serializable(package="tfmp")
class SelectionOptimizer(SelectionOptimizerMixin, keras.optimizers.MultiOptimizer):  # noqa: D101 (the mixin says it)
    __doc__ = SelectionOptimizerMixin.__doc__

    optimizers_module = keras.optimizers

    def __init__(
        self,
        weights: Any = "sgd",
        selection: Any = SCHEDULED,
        *,
        ranges: Any = RELATIVE,
        name: str = "selection_optimizer",
        **kwargs: Any,
    ):
        super().__init__(self._optimizer_for, name=name, **kwargs)
        self._take(weights, selection, ranges)

    def _optimizer_for(self, variable):
        return self.optimizers_by_group[self.group_at(variable.path)]

    def apply(self, grads: Sequence[Tensor], trainable_variables: Sequence[Any] | None = None) -> Any:
        """Updates variables, each by the optimizer of its group; logits that are held stay as they are.

        Args:
            grads: Their gradients.
            trainable_variables: The variables, all or some of those that the optimizer was built with.

        Raises:
            ValueError: If logits are held and no variables are given.
        """
        if trainable_variables is None:
            if self.holds_logits:
                raise ValueError("While the logits are held, `apply` needs the variables beside the gradients.")
            return super().apply(grads)
        if not self.built:
            self.build(trainable_variables)
        pairs: dict[int, list[Any]] = {}
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            pairs.setdefault(id(self._optimizer_for(variable)), []).append((gradient, variable))
        for optimizer in self.optimizers_by_group.values():
            trained = pairs.get(id(optimizer))
            if trained and not (self.holds_logits and optimizer is self.selection_optimizer):
                optimizer.apply(*map(list, zip(*trained, strict=True)))
        self.iterations.assign_add(1)

    def __repr__(self):
        # The other Keras refuses it with an error that shows only this text.
        return "<tfmp.SelectionOptimizer of Keras 3; tf_keras takes tfmp.keras2.SelectionOptimizer>"

    @property
    def optimizers(self) -> list[Any]:
        # Callbacks of Keras look for it, and would set the learning rate of all optimizers to that of the weights.
        raise AttributeError("Expected `weights_optimizer` or `selection_optimizer`. Received: `optimizers`")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "loss_scale_factor": self.loss_scale_factor}


class Keras3LogitsOptimizer(LogitsOptimizer):
    """Updates logits in Keras 3, where every optimizer can scale the loss."""

    def scaled(self, loss):
        loss = self.optimizer.scale_loss(loss)
        return loss if self.scaler is None else self.scaler.scale_loss(loss)

    def unscaled(self, gradients):
        if self.scaler is None:
            return gradients
        scale = self.scaler.scale_loss(tf.ones(()))
        return [gradient / scale for gradient in gradients]

    def move(self, gradients):
        self.optimizer.apply(gradients, self.logits)
