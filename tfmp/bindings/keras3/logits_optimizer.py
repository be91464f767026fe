"""Scales the loss of a step of the logits alone in Keras 3."""

import tensorflow as tf

from tfmp.bindings.logits_training import LogitsOptimizer


class Keras3LogitsOptimizer(LogitsOptimizer):
    """Moves logits in Keras 3, where every optimizer can scale the loss."""

    def scaled(self, loss):
        loss = self.optimizer.scale_loss(loss)
        return loss if self.scaler is None else self.scaler.scale_loss(loss)

    def unscaled(self, gradients):
        if self.scaler is None:
            return gradients
        scale = self.scaler.scale_loss(tf.ones(()))
        return [gradient / scale for gradient in gradients]

    def move(self, gradients):
        self.optimizer.apply(gradients, self.logits)
