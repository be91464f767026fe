"""The search optimizer of Keras 3."""

import keras

from tfmp.bindings.optimizer_argument import optimizer_of
from tfmp.bindings.selection_variables import group_of


@keras.saving.register_keras_serializable(package="tfmp")
class SelectionOptimizer(keras.optimizers.MultiOptimizer):
    """Trains the selection logits, and the ranges of quantizers, with optimizers of their own.

    All are updated in one pass (EdMIPS, section 4.6, the single-pass strategy), each with the learning rate, weight
    decay, clipping and schedule of its own optimizer; a norm over several variables is that of its group.

    Args:
        weights: Optimizer of everything else, a name or an instance. `learning_rate` is its learning rate, so that
            callbacks act on it; a schedule of an optimizer is its own.
        selection: Optimizer of the logits, a name or an instance.
        ranges: Optimizer of the steps that quantizers learn, a name or an instance. None leaves them to `weights`, its
            weight decay included.

    Raises:
        ValueError: If an optimizer is none.

    Attributes:
        holds_logits: True while the logits are left to steps of their own, which a search with `selection_data` takes.

    Example:
        >>> optimizer = SelectionOptimizer("sgd", keras.optimizers.Adam(0.01))
    """

    def __init__(self, weights="sgd", selection="adam", *, ranges=None, name="selection_optimizer", **kwargs):
        super().__init__(self._optimizer_for, name=name, **kwargs)
        self.weights_optimizer = optimizer_of(keras.optimizers, "weights", weights)
        self.selection_optimizer = optimizer_of(keras.optimizers, "selection", selection)
        self.ranges_optimizer = None if ranges is None else optimizer_of(keras.optimizers, "ranges", ranges)
        self.holds_logits = False

    def _optimizer_for(self, variable):
        group = group_of(variable.path)
        if group == "selection":
            return self.selection_optimizer
        return self.weights_optimizer if group == "weights" else self.ranges_optimizer or self.weights_optimizer

    def apply(self, grads, trainable_variables=None):
        if not self.holds_logits:
            return super().apply(grads, trainable_variables)
        if trainable_variables is None:
            raise ValueError("While the logits are held, `apply` needs the variables beside the gradients.")
        if not self.built:
            self.build(trainable_variables)
        pairs = {}
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            pairs.setdefault(id(self._optimizer_for(variable)), []).append((gradient, variable))
        for optimizer in (self.weights_optimizer, self.ranges_optimizer):
            own = pairs.get(id(optimizer))
            if own:
                optimizer.apply(*map(list, zip(*own, strict=True)))
        self.iterations.assign_add(1)

    def __repr__(self):
        # The other Keras refuses it by an error that shows nothing else of it.
        return "<tfmp.SelectionOptimizer of Keras 3; tf_keras takes tfmp.keras2.SelectionOptimizer>"

    @property
    def learning_rate(self):
        return self.weights_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.weights_optimizer.learning_rate = value

    @property
    def optimizers(self):
        # Keras' callbacks look for it, and would write the weights' learning rate into all.
        raise AttributeError("Expected `weights_optimizer` or `selection_optimizer`. Received: `optimizers`")

    def get_config(self):
        ranges = self.ranges_optimizer
        return {
            "weights": keras.optimizers.serialize(self.weights_optimizer),
            "selection": keras.optimizers.serialize(self.selection_optimizer),
            "ranges": None if ranges is None else keras.optimizers.serialize(ranges),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
