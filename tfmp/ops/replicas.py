"""Reductions over the replicas of a `tf.distribute` strategy."""

import tensorflow as tf


def sum_over_replicas(x: tf.Tensor) -> tf.Tensor:
    """Returns the sum over all replicas, the same on each; outside a strategy's replicas, returns `x`."""
    context = _context()
    return x if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def maximum_over_replicas(x: tf.Tensor) -> tf.Tensor:
    """Returns the elementwise maximum over all replicas; outside a strategy's replicas, returns `x`."""
    context = _context()
    return x if context is None else tf.reduce_max(context.all_gather(x[tf.newaxis], axis=0), axis=0)


def _context():
    """Returns the replica context, or None if there is one replica or the code runs across replicas."""
    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context
