"""Restores variables after a temporary computation."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf


@contextlib.contextmanager
def restoring(variables: Iterable[Any]) -> Iterator[None]:
    """Restores the values of variables when the block ends, for example statistics of normalizations."""
    variables = list(variables)
    values = [tf.identity(variable) for variable in variables]
    yield
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
