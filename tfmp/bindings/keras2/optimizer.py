"""The search optimizer of tf_keras."""

import tf_keras

from tfmp.bindings.optimizer_argument import optimizer_of
from tfmp.bindings.selection_variables import group_of


@tf_keras.saving.register_keras_serializable(package="tfmp")
class SelectionOptimizer(tf_keras.optimizers.Optimizer):
    """Trains the selection logits, and the ranges of quantizers, with optimizers of their own.

    All are updated in one pass (EdMIPS, section 4.6, the single-pass strategy), each with the learning rate, weight
    decay, clipping and schedule of its own optimizer; a norm over several variables is that of its group.

    Args:
        weights: Optimizer of everything else, a name or an instance. `learning_rate` is its learning rate, so that
            callbacks act on it; a schedule of an optimizer is its own.
        selection: Optimizer of the logits, a name or an instance.
        ranges: Optimizer of the steps that quantizers learn, a name or an instance. None leaves them to `weights`, its
            weight decay included.
        name: Name of the optimizer.

    Raises:
        ValueError: If an optimizer is none.

    Attributes:
        holds_logits: True while the logits are left to steps of their own, which a search with `selection_data` takes.

    Example:
        >>> optimizer = SelectionOptimizer("sgd", tf_keras.optimizers.Adam(0.01))
    """

    def __init__(self, weights="sgd", selection="adam", *, ranges=None, name="selection_optimizer"):
        super().__init__(name=name)
        self.weights_optimizer = optimizer_of(tf_keras.optimizers, "weights", weights)
        self.selection_optimizer = optimizer_of(tf_keras.optimizers, "selection", selection)
        self.ranges_optimizer = None if ranges is None else optimizer_of(tf_keras.optimizers, "ranges", ranges)
        self.iterations = self.weights_optimizer.iterations
        self.holds_logits = False

    def _groups(self, items, variable_of=lambda item: item):
        """Each optimizer with its own among some items, of which a function gives the variable."""
        optimizers = {"weights": self.weights_optimizer, "selection": self.selection_optimizer}
        if self.ranges_optimizer is not None:
            optimizers["ranges"] = self.ranges_optimizer
        found = {name: [] for name in optimizers}
        for item in items:
            name = group_of(variable_of(item).name)
            found[name if name in optimizers else "weights"].append(item)
        return [(optimizers[name], own) for name, own in found.items()]

    def build(self, var_list):
        for optimizer, own in self._groups(var_list):
            optimizer.build(own)

    def apply_gradients(self, grads_and_vars, name=None, skip_gradients_aggregation=False, **kwargs):
        for optimizer, own in self._groups(grads_and_vars, lambda pair: pair[1]):
            held = self.holds_logits and optimizer is self.selection_optimizer
            if not held and any(gradient is not None for gradient, _ in own):
                optimizer.apply_gradients(own, skip_gradients_aggregation=skip_gradients_aggregation, **kwargs)
        return self.iterations

    def finalize_variable_values(self, var_list):
        for optimizer, own in self._groups(var_list):
            optimizer.finalize_variable_values(own)

    @property
    def variables(self):
        # A HDF5 file takes one counter of steps. The optimizers step together but for held logits, whose steps such a
        # file does not count.
        found = super().variables
        found[:] = self.weights_optimizer.variables
        for optimizer in self._others():
            found += [variable for variable in optimizer.variables if variable is not optimizer.iterations]
        return found

    @property
    def counters(self):
        """The counters of steps that `variables` leaves out."""
        return [optimizer.iterations for optimizer in self._others()]

    def _others(self):
        return [o for o in (self.selection_optimizer, self.ranges_optimizer) if o is not None]

    def set_weights(self, weights):
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)
        for optimizer in self._others():
            optimizer.iterations.assign(self.weights_optimizer.iterations)

    def save_own_variables(self, store):
        """Stores nothing: a `.keras` file holds the variables of all optimizers under their own names."""

    def load_own_variables(self, store):
        """Loads nothing, see `save_own_variables`."""

    def __repr__(self):
        # The other Keras refuses it by an error that shows nothing else of it.
        return "<tfmp.keras2.SelectionOptimizer of tf_keras; Keras 3 takes tfmp.SelectionOptimizer>"

    @property
    def learning_rate(self):
        return self.weights_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.weights_optimizer.learning_rate = value

    def get_config(self):
        ranges = self.ranges_optimizer
        return {
            "weights": tf_keras.optimizers.serialize(self.weights_optimizer),
            "selection": tf_keras.optimizers.serialize(self.selection_optimizer),
            "ranges": None if ranges is None else tf_keras.optimizers.serialize(ranges),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)
