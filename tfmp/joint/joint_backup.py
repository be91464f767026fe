"""Saves and restores the state of a joint search."""

import contextlib
import dataclasses
import json

import numpy as np
import tensorflow as tf

from tfmp.files.run_identity import array_digest, described, version


class JointBackup:
    """What a `JointSearch` keeps for its resumption: a part of it that reads and writes its variables."""

    _start_weights = None

    def _variables(self):
        optimizers = self.weights_optimizer, self.controller_optimizer
        return [*self.supernet.variables, self.logits, *(v for each in optimizers for v in each.variables)]

    def _identity(self, training, validation, seed, batch_size):
        if self._start_weights is None:  # the weights move, but the search remains the same
            floats = (value for value in map(value_of, self.supernet.variables) if value.dtype.kind == "f")
            self._start_weights = array_digest(*floats, value_of(self.logits))
        identity = {
            "tfmp": version(),
            "weights": self._start_weights,
            "space": self.space.as_dict(),
            "target": self.target,
            "cost": {"learned": type(self.cost_gradient).__name__, **self.cost_gradient.identity()},
            "settings": dataclasses.asdict(self.settings),
            "optimizers": self._optimizers,
            "loss": described(self.loss),
            "training": described(training),
            "validation": described(validation),
            "batch_size": batch_size,
            "seed": seed,
        }
        return json.loads(json.dumps(identity, default=str))

    def _save(self, epoch, identity):
        values = [value_of(variable) for variable in self._variables()]
        state = {"cost_gradient": self.cost_gradient.state(), "history": self.history}
        self._backup.save(epoch, values, identity=identity, state=state)

    @contextlib.contextmanager
    def _resumed(self, identity, epochs):
        """Yields the first epoch that is left to do; the backup's folder is locked meanwhile."""
        try:
            yield self._resume(identity, epochs)
        finally:
            if self._backup is not None:
                self._backup.release()

    def _resume(self, identity, epochs):
        shapes = [variable.shape for variable in self._variables()]
        found = self._backup and self._backup.load(shapes, identity=identity, epochs=epochs)
        if found is None:
            return len(self.history)
        epoch, values, state = found
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)
        self.cost_gradient.restore(state["cost_gradient"])
        self.history = state["history"]
        return epoch


def value_of(variable):
    """The values of a Keras variable as an array."""
    return np.asarray(tf.convert_to_tensor(variable))
