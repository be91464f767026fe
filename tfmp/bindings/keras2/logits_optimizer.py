"""Scales the loss of a step of the logits alone in tf_keras."""

from tfmp.bindings.logits_training import LogitsOptimizer


class Keras2LogitsOptimizer(LogitsOptimizer):
    """Moves logits in tf_keras."""

    def __init__(self, optimizer, scaler, logits):
        super().__init__(optimizer, scaler, logits)
        optimizer.build(logits)

    def scaled(self, loss):
        return loss if self.scaler is None else self.scaler.get_scaled_loss(loss)

    def unscaled(self, gradients):
        return gradients if self.scaler is None else self.scaler.get_unscaled_gradients(gradients)

    def move(self, gradients):
        self.optimizer.apply_gradients(zip(gradients, self.logits, strict=True))
