"""How a joint search goes on when it was killed."""

import dataclasses
import json

import numpy as np
import tensorflow as tf

_MARKS = "space, target, cost, `settings`, optimizer, `batch_size` or `seed`"


class JointBackup:
    """What a `JointSearch` keeps for its resumption: a part of it that reads and writes its variables."""

    def _variables(self):
        optimizers = self.weights_optimizer, self.controller_optimizer
        return [*self.supernet.variables, self.logits, *(v for each in optimizers for v in each.variables)]

    def _identity(self, seed, batch_size):
        identity = {
            "space": self.space.as_dict(),
            "target": self.target,
            "cost": {"learned": type(self.cost_gradient).__name__, **self.cost_gradient.identity()},
            "settings": dataclasses.asdict(self.settings),
            "optimizers": self._optimizers,
            "batch_size": batch_size,
            "seed": seed,
        }
        return json.loads(json.dumps(identity, default=str))

    def _save(self, epoch, identity):
        values = [np.asarray(tf.convert_to_tensor(variable)) for variable in self._variables()]
        state = {"cost_gradient": self.cost_gradient.state(), "history": self.history}
        self._backup.save(epoch, values, identity=identity, state=state)

    def _resume(self, identity):
        shapes = [variable.shape for variable in self._variables()]
        found = self._backup and self._backup.load(shapes, identity=identity, marks=_MARKS)
        if found is None:
            return len(self.history)
        epoch, values, state = found
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)
        self.cost_gradient.restore(state["cost_gradient"])
        self.history = state["history"]
        return epoch


def described(optimizer):
    """What an optimizer was made with, but for its name."""
    return {**optimizer.get_config(), "name": type(optimizer).__name__}
