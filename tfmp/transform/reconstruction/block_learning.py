"""Learns the rounding of one block of layers."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasModel
from tfmp.transform.reconstruction.adam import Adam
from tfmp.transform.reconstruction.soft_rounding import SoftRounding

_FIRST_EXPONENT, _LAST_EXPONENT = 20.0, 2.0
_EVALUATION_BATCH = 64
_SMALLEST_VARIANCE = 1e-12


@dataclasses.dataclass(frozen=True)
class Along:
    """A variable that is learned along with the rounding.

    Args:
        variable: A variable of TensorFlow.
        rate: Its learning rate, in its own units: a number or an array that broadcasts.
        is_positive: True to keep it from becoming negative.
    """

    variable: tf.Variable
    rate: Any
    is_positive: bool = False


class BlockLearning:
    """Learns the rounding of the kernels of a block, and other variables along, from the error of its outputs.

    The error is the sum over the channels of the squared difference from the outputs in floating point, its mean over
    positions and samples, in units of the mean variance of a channel. While the regularizer becomes stronger, the
    rounding moves from the values in between to the levels (Nagel et al., 2020, eq. 21 and section 3.2).

    Args:
        block: The model of the block, from the list of its inputs to the list of its outputs, with kernels in floating
            point.
        roundings: Pairs of the variable of a kernel in `block` and its `SoftRounding`.
        along: What is learned along.
        inputs: What the block reads in the quantized network: an array of all samples for each input.
        targets: What the block writes in floating point.
    """

    def __init__(
        self,
        block: KerasModel,
        roundings: Sequence[tuple[tf.Variable, SoftRounding]],
        along: Sequence[Along],
        inputs: Sequence[np.ndarray],
        targets: Sequence[np.ndarray],
    ):
        self._block = block
        self._kernels = [kernel for kernel, _ in roundings]
        self._roundings = [rounding for _, rounding in roundings]
        self._along = list(along)
        self._inputs, self._targets = ([tf.constant(each) for each in arrays] for arrays in (inputs, targets))
        self._scales = [_scale(target) for target in targets]
        self._compute_error = tf.function(self._error, reduce_retracing=True)

    def learn(
        self,
        *,
        iterations: int,
        batch_size: int,
        learning_rate: float,
        regularization: float,
        warm_up: float,
        seed: Sequence[int],
        on_iteration: Callable[[], None] = lambda: None,
    ) -> tuple[float, float]:
        """Learns, and leaves the kernels on their levels; if the error is not smaller, nothing is changed.

        Args:
            iterations: Number of updates.
            batch_size: Samples of an update.
            learning_rate: That of the rounding.
            regularization: Weight of the mean regularizer of a weight, in units of the error with the nearest levels.
            warm_up: Share of the updates without the regularizer.
            seed: Integers that determine the batches.
            on_iteration: Called after each update.

        Returns:
            The error over all samples with the nearest levels, as before, and at the end.
        """
        variables = [*self._kernels, *(each.variable for each in self._along)]
        before = [tf.identity(variable) for variable in variables]
        first_error = self.mean_error()
        logits = [rounding.logits for rounding in self._roundings]
        rates = [*(learning_rate for _ in logits), *(each.rate for each in self._along)]
        update = tf.function(
            functools.partial(self._update, Adam([*logits, *(each.variable for each in self._along)], rates))
        )
        batches = _batches(len(self._inputs[0]), batch_size, np.random.default_rng(seed))
        warm = int(warm_up * iterations)
        num_weights = max(1, sum(math.prod(kernel.shape) for kernel in self._kernels))
        for number in range(iterations):
            share = max(0, number - warm) / max(1, iterations - warm)
            exponent = _FIRST_EXPONENT + (_LAST_EXPONENT - _FIRST_EXPONENT) * share
            weight = regularization * first_error / num_weights if number >= warm else 0.0
            factor = (1 + math.cos(math.pi * number / iterations)) / 2
            update(next(batches), *(tf.constant(each, tf.float32) for each in (number + 1, exponent, weight, factor)))
            on_iteration()
        for kernel, rounding in zip(self._kernels, self._roundings, strict=True):
            kernel.assign(rounding.rounded())
        last_error = self.mean_error()
        if not last_error < first_error:  # nor if it is not a number
            last_error = first_error
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
        return first_error, last_error

    def mean_error(self) -> float:
        """Returns the error over all samples, with the current kernels."""
        count, total = len(self._inputs[0]), 0.0
        for start in range(0, count, _EVALUATION_BATCH):
            rows = tf.range(start, min(start + _EVALUATION_BATCH, count))
            total += float(self._compute_error(rows)) * len(rows)
        return total / count

    def _error(self, rows):
        outputs = tf.nest.flatten(self._block([tf.gather(each, rows) for each in self._inputs], training=False))
        errors = []
        for output, target, scale in zip(outputs, self._targets, self._scales, strict=True):
            difference = tf.cast(output, tf.float32) - tf.cast(tf.gather(target, rows), tf.float32)
            errors.append(scale * tf.reduce_mean(tf.reduce_sum(tf.square(difference), axis=-1)))
        return tf.add_n(errors)

    def _update(self, adam, rows, step, exponent, weight, factor):
        logits = [rounding.logits for rounding in self._roundings]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(logits)
            kernels = [rounding() for rounding in self._roundings]
            penalty = weight * sum(rounding.regularizer(exponent) for rounding in self._roundings)
        for variable, kernel in zip(self._kernels, kernels, strict=True):
            variable.assign(kernel)
        variables = [*self._kernels, *(each.variable for each in self._along)]
        with tf.GradientTape(watch_accessed_variables=False) as block_tape:
            block_tape.watch(variables)
            error = self._error(rows)
        gradients = block_tape.gradient(error, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        of_kernels, of_along = gradients[: len(kernels)], gradients[len(kernels) :]
        of_logits = tape.gradient([*kernels, penalty], logits, output_gradients=[*of_kernels, tf.ones_like(penalty)])
        adam.apply([*of_logits, *of_along], step, factor)
        for each in self._along:
            if each.is_positive:
                each.variable.assign(tf.nn.relu(each.variable))


def _scale(target):
    variance = np.var(target, axis=tuple(range(target.ndim - 1)), dtype=np.float64).mean()
    return tf.constant(1 / max(variance, _SMALLEST_VARIANCE), tf.float32)


def _batches(count, size, rng):
    """Yields the rows of batches without end, all samples once before any is drawn again."""
    waiting = np.zeros(0, np.int32)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, rng.permutation(count).astype(np.int32)])
        yield tf.constant(waiting[:size])
        waiting = waiting[size:]
