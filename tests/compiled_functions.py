"""Compiled functions for a training of many steps within a default test, whose functions run eagerly."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def compiled():
    """Has TensorFlow compile its functions inside of it: from some hundred steps on this is cheaper."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(False)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
