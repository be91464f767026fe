"""Validation gradient of the logits, of first or second order."""

import tensorflow as tf

from tfmp.mixins.restoring import restoring


def validation_gradient(loss, weights, logits, training, validation, *, order="first", step_size=None):
    """Returns the validation loss and its gradient for the controller's logits (eq. 4 to 6, one sample).

    `"first"` takes the weights as they are, just moved by a training step, and ignores that the step depended on the
    logits. `"second"` takes a step of gradient descent on a copy, w' = w - step_size d L_train / d w, and goes through
    it:

        d L_val(w', a) / d logits - step_size d/d logits <d L_train(w, a) / d w, v>,  v = d L_val(w', a) / d w'

    The weights are afterwards what they were.

    Args:
        loss: Function of a batch and the logits to a scalar tensor; it draws the same sample each time.
        weights: Variables that training moves.
        logits: `[rows, width]` tensor.
        training: A batch of the training part, which `"second"` reads.
        validation: A batch of the validation part.
        order: `"first"` or `"second"`.
        step_size: Of the step on the copy.

    Returns:
        A scalar tensor, and a tensor like `logits`.

    Reference: Liu et al., 2019, https://arxiv.org/abs/1806.09055
    """
    if order == "first":
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(logits)
            value = loss(validation, logits)
        return value, tape.gradient(value, logits, unconnected_gradients="zero")

    with tf.GradientTape() as tape:
        training_loss = loss(training, logits)
    first_step = tape.gradient(training_loss, weights, unconnected_gradients="zero")
    with restoring(weights):
        for weight, gradient in zip(weights, first_step, strict=True):
            weight.assign_sub(step_size * gradient)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(validation, logits)
        direct, *directions = tape.gradient(value, [logits, *weights], unconnected_gradients="zero")

    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(logits)
        with tf.GradientTape() as inner:
            training_loss = loss(training, logits)
        gradients = inner.gradient(training_loss, weights, unconnected_gradients="zero")
        along = tf.add_n([tf.reduce_sum(g * d) for g, d in zip(gradients, directions, strict=True)])
    mixed = outer.gradient(along, logits, unconnected_gradients="zero")
    return value, direct - step_size * mixed
