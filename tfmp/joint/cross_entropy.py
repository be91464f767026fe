"""Cross-entropy for integer or one-hot labels."""

import tensorflow as tf

from tfmp.annotations import Tensor


def cross_entropy(labels: Tensor, logits: Tensor) -> Tensor:
    """Returns the mean cross-entropy of logits, a scalar.

    Args:
        labels: `[samples]` or `[samples, 1]` classes, of any number type, or `[samples, classes]` probabilities.
        logits: `[samples, classes]` tensor.

    Raises:
        ValueError: If the labels have another shape.
    """
    shape, num_classes = labels.shape, logits.shape[-1]
    if shape.rank == 2 and shape[-1] == num_classes:
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, logits))
    if shape.rank != 1 and shape[1:] != (1,):
        raise ValueError(
            f"Labels must be classes, `[samples]` or `[samples, 1]`, or probabilities, `[samples, {num_classes}]`. "
            f"Received labels of shape {tuple(shape)}; for others give a `loss`."
        )
    classes = tf.cast(tf.reshape(labels, [-1]), tf.int64)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(classes, logits))
