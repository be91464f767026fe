"""Saves and restores the state of a joint search."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.mixins.search_backup import SearchBackup


class JointBackup:
    """Saves the state of a joint search after each epoch.

    Args:
        folder: Path of the folder; None saves nothing.
        trainer: The `JointTrainer`, whose variables are saved.
        cost_gradient: The `CostGradient`, whose state is saved.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, trainer: Any, cost_gradient: Any):
        self._backup, self._trainer, self._cost_gradient = SearchBackup.of(folder), trainer, cost_gradient

    @contextlib.contextmanager
    def resumed(
        self, identity: Callable[[], Mapping[str, Any]], epochs: int
    ) -> Iterator[tuple[int, list[dict[str, Any]]] | None]:
        """Restores the last complete epoch and yields its `(epoch, history)`, or None; locks the folder meanwhile.

        Args:
            identity: Function that returns JSON that must be equal in a resumed search.
            epochs: Total number of epochs.
        """
        try:
            yield self._resume(identity, epochs)
        finally:
            if self._backup is not None:
                self._backup.release()

    def _resume(self, identity, epochs):
        if self._backup is None:
            return None
        variables = self._trainer.variables
        self._identity = identity()
        loaded = self._backup.load([variable.shape for variable in variables], identity=self._identity, epochs=epochs)
        if loaded is None:
            return None
        epoch, values, state = loaded
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self._cost_gradient.restore(state["cost_gradient"])
        return epoch, state["history"]

    def save(self, epoch: int, history: Sequence[Mapping[str, Any]]) -> None:
        """Saves the state after a number of complete epochs."""
        if self._backup is not None:
            values = [value_of(variable) for variable in self._trainer.variables]
            state = {"cost_gradient": self._cost_gradient.state(), "history": history}
            self._backup.save(epoch, values, identity=self._identity, state=state)

    def kept(self) -> str:
        """Returns a sentence on the saved state, for errors; empty without one."""
        if self._backup is None:
            return ""
        saved = self._backup.epochs()
        return f" The backup in {self._backup.folder!r} has the state of {saved[0]}." if saved else ""


def value_of(variable: Any) -> np.ndarray:
    """Returns the values of a Keras variable as an array."""
    return np.asarray(tf.convert_to_tensor(variable))
