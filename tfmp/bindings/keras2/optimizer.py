"""The search optimizer of tf_keras."""

import tf_keras


@tf_keras.saving.register_keras_serializable(package="tfmp")
class SelectionOptimizer(tf_keras.optimizers.Optimizer):
    """Trains the selection logits with an optimizer of their own.

    Both are updated in one pass (EdMIPS, section 4.6, the single-pass strategy).

    Args:
        weights: Optimizer of everything but the logits, a name or an instance. `learning_rate` is its learning rate, so
            that schedules and callbacks act on it.
        selection: Optimizer of the logits, a name or an instance.
        name: Name of the optimizer.

    Example:
        >>> optimizer = SelectionOptimizer("sgd", tf_keras.optimizers.Adam(0.01))
    """

    def __init__(self, weights="sgd", selection="adam", *, name="selection_optimizer"):
        super().__init__(name=name)
        self.weights_optimizer = _optimizer(weights, "weights")
        self.selection_optimizer = _optimizer(selection, "selection")
        self.iterations = self.weights_optimizer.iterations

    def build(self, var_list):
        logits = [variable for variable in var_list if _is_logits(variable)]
        self.weights_optimizer.build([variable for variable in var_list if not _is_logits(variable)])
        self.selection_optimizer.build(logits)

    def apply_gradients(self, grads_and_vars, name=None, skip_gradients_aggregation=False, **kwargs):
        pairs = list(grads_and_vars)
        logits = [pair for pair in pairs if _is_logits(pair[1])]
        weights = [pair for pair in pairs if not _is_logits(pair[1])]
        for optimizer, own in ((self.weights_optimizer, weights), (self.selection_optimizer, logits)):
            if any(gradient is not None for gradient, _ in own):
                optimizer.apply_gradients(own, skip_gradients_aggregation=skip_gradients_aggregation, **kwargs)
        return self.iterations

    def finalize_variable_values(self, var_list):
        logits = [variable for variable in var_list if _is_logits(variable)]
        self.weights_optimizer.finalize_variable_values([v for v in var_list if not _is_logits(v)])
        self.selection_optimizer.finalize_variable_values(logits)

    @property
    def variables(self):
        # A HDF5 file takes one counter of steps; both optimizers step together.
        counter = self.selection_optimizer.iterations
        found = super().variables
        found[:] = self.weights_optimizer.variables
        found += [variable for variable in self.selection_optimizer.variables if variable is not counter]
        return found

    def set_weights(self, weights):
        for variable, value in zip(self.variables, weights, strict=True):
            variable.assign(value)
        self.selection_optimizer.iterations.assign(self.weights_optimizer.iterations)

    def save_own_variables(self, store):
        """Stores nothing: a `.keras` file holds the variables of both optimizers under their own names."""

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
        return {
            "weights": tf_keras.optimizers.serialize(self.weights_optimizer),
            "selection": tf_keras.optimizers.serialize(self.selection_optimizer),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def _is_logits(variable):
    return variable.name.split(":")[0].endswith("_selector/logits")


def _optimizer(identifier, argument):
    optimizer = tf_keras.optimizers.get(identifier)
    if not isinstance(optimizer, tf_keras.optimizers.Optimizer):
        raise ValueError(
            f"`{argument}` must be a `tf_keras.optimizers.Optimizer` or its name. Received: {identifier!r}, a legacy "
            "optimizer; take the class of the same name in `tf_keras.optimizers`."
        )
    return optimizer
