"""Logits over candidate bit-widths."""

from typing import Any

import tensorflow as tf

from tfmp.annotations import Tensor
from tfmp.relaxation import check_relaxation, probabilities, relaxed_choice

LOGIT_START = 0.01  # EdMIPS, section 5.1


class BitLogits:
    """One logit per candidate, and the variables of its relaxation; no variables for a single candidate.

    It is not a layer: the selector that builds it owns its variables, and another selector can share it.

    Args:
        num_candidates: Number of candidates.
        relaxation: `"softmax"`, `"annealed"` or `"gumbel"`.
        seed: Integer, for Gumbel noise.

    Attributes:
        logits: `[num_candidates]` variable, None for a single candidate.
        temperature: Scalar variable, for `"annealed"` and `"gumbel"`.
        sampling_step: Scalar variable, for `"gumbel"`: number of samples drawn so far.
    """

    def __init__(self, num_candidates: int, *, relaxation: str = "softmax", seed: int = 0):
        check_relaxation(relaxation)
        self.num_candidates = num_candidates
        self.relaxation = relaxation
        self.seed = seed
        self.logits = self.temperature = self.sampling_step = None

    @property
    def is_open(self) -> bool:
        """True if there is more than one candidate."""
        return self.num_candidates > 1

    def build(self, selector: Any) -> None:
        """Creates the variables in a selector, once."""
        if not self.is_open or self.logits is not None:
            return
        self.logits = selector.add_weight(
            name="logits",
            shape=(self.num_candidates,),
            initializer=lambda shape, dtype=None, **_: tf.fill(shape, tf.constant(LOGIT_START)),
            trainable=True,
        )
        if self.relaxation != "softmax":
            self.temperature = selector.add_statistic(name="temperature", shape=(), initializer="ones")
        if self.relaxation == "gumbel":
            self.sampling_step = selector.add_statistic(name="sampling_step", shape=(), initializer="zeros")

    def weights(self, training: bool | None) -> Tensor:
        """Returns the current weights of the candidates in the mixture; in training, each call draws a new sample."""
        if not self.is_open:
            return (1.0,)
        seed = (self.seed, 0)
        if training and self.sampling_step is not None:
            step = tf.convert_to_tensor(self.sampling_step)
            seed = (self.seed, tf.cast(step, tf.int32))
            self.sampling_step.assign(step + 1)
        return relaxed_choice(
            self.logits,
            relaxation=self.relaxation,
            temperature=1.0 if self.temperature is None else tf.convert_to_tensor(self.temperature),
            seed=seed,
            training=bool(training),
        )

    def probabilities(self) -> Tensor:
        """Returns the probability of each candidate, `[num_candidates]`, at the current temperature if annealed."""
        if not self.is_open:
            return tf.ones((1,))
        logits = tf.convert_to_tensor(self.logits)
        annealed = self.relaxation == "annealed"
        return probabilities(logits / tf.convert_to_tensor(self.temperature) if annealed else logits)
