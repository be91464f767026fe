"""Restores variables after a temporary computation."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def restoring(variables):
    """Gives variables back the values that they had before, statistics of normalizations for example."""
    variables = list(variables)
    values = [tf.identity(variable) for variable in variables]
    yield
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
