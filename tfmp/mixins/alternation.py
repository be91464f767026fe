"""Alternates training steps of weights and of logits."""

import math
from collections.abc import Callable
from typing import Any

from tfmp.files.finite_values import NotFiniteError
from tfmp.search.selection_data import SelectionData


class Alternation:
    """Runs logits steps on separate data after the training steps, which then train all other variables.

    Args:
        data: A `SelectionData`, or its data.

    Attributes:
        training_steps: Number of training steps over all epochs, from which the number of selection steps follows.
    """

    def __init__(self, data: Any):
        self.data = SelectionData.of(data)
        self.training_steps = self._steps_in_epoch = 0
        self._make_step: Callable[[], Any]
        self._step: Any = None

    def begin(self, make_step: Callable[[], Any]) -> None:
        """Starts a training; `make_step()` returns the logits step, and is called after the first batch.

        Before that, not all variables of optimizer and metrics exist.
        """
        self._make_step, self._step = make_step, None

    def begin_epoch(self) -> None:
        self._steps_in_epoch = 0

    def after_batch(self, batch: int) -> None:
        """Runs the logits steps that are due after a training step, counted from 0 in each epoch.

        Raises:
            ValueError: If a batch, or the loss on it, is not finite.
        """
        # If `fit` runs several steps at once, it only reports the last one.
        before, self.training_steps = self.training_steps, self.training_steps + batch + 1 - self._steps_in_epoch
        self._steps_in_epoch = batch + 1
        for position in range(before // self.data.every, self.training_steps // self.data.every):
            self._step = self._step or self._make_step()
            loss = float(self._step(*self.data.batch(position)))
            if not math.isfinite(loss):
                raise NotFiniteError(
                    f"The loss on batch {position} of `selection_data`, which is finite, is {loss}: the training "
                    "diverged. Lower the learning rate, or clip gradients."
                )
