"""The search optimizer of Keras 3."""

import keras


@keras.saving.register_keras_serializable(package="tfmp")
class SelectionOptimizer(keras.optimizers.MultiOptimizer):
    """Trains the selection logits with an optimizer of their own.

    Both are updated in one pass (EdMIPS, section 4.6, the single-pass strategy).

    Args:
        weights: Optimizer of everything but the logits, a name or an instance. `learning_rate` is its learning rate, so
            that schedules and callbacks act on it.
        selection: Optimizer of the logits, a name or an instance.

    Example:
        >>> optimizer = SelectionOptimizer("sgd", keras.optimizers.Adam(0.01))
    """

    def __init__(self, weights="sgd", selection="adam", *, name="selection_optimizer", **kwargs):
        super().__init__(self._optimizer_for, name=name, **kwargs)
        self.weights_optimizer = keras.optimizers.get(weights)
        self.selection_optimizer = keras.optimizers.get(selection)

    def _optimizer_for(self, variable):
        is_logits = variable.path.endswith("_selector/logits")
        return self.selection_optimizer if is_logits else self.weights_optimizer

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
        # Keras' callbacks look for it, and would write the weights' learning rate into both.
        raise AttributeError("Expected `weights_optimizer` or `selection_optimizer`. Received: `optimizers`")

    def get_config(self):
        return {
            "weights": keras.optimizers.serialize(self.weights_optimizer),
            "selection": keras.optimizers.serialize(self.selection_optimizer),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
