"""Adds the expected cost of a layer's bits to the loss."""

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasMixin
from tfmp.relaxation import expected_cost


class SelectionCostMixin(KerasMixin):
    """Adds p_weights . price . p_activations to the loss while training.

    The search sets the price (multiplier * cost table / normalizer); the layer does not know the cost.

    Args:
        num_weight_candidates, num_activation_candidates: Shape of the price.
        num_calls: Number of calls of the layer in one forward pass; each call adds an equal share.
        coupled: True if weights and activations share one choice, among pairs with equal indices.

    Attributes:
        price: `[weight candidates, activation candidates]` variable, not trained, 0 until a search sets it.
    """

    def __init__(self, num_weight_candidates, num_activation_candidates, *, num_calls=1, coupled=False, **kwargs):
        super().__init__(**kwargs)
        self.num_weight_candidates = num_weight_candidates
        self.num_activation_candidates = num_activation_candidates
        self.num_calls = num_calls
        self.coupled = coupled

    def build(self, *_):
        self.price = self.add_statistic(
            name="price", shape=(self.num_weight_candidates, self.num_activation_candidates), initializer="zeros"
        )
        self.built = True

    def set_price(self, price):
        """Sets the price, a `[W, A]` array in units of the loss."""
        self.price.assign(np.asarray(price, np.float32))

    def call(self, weight_probabilities, activation_probabilities):
        cost = expected_cost(
            tf.convert_to_tensor(self.price), weight_probabilities, activation_probabilities, coupled=self.coupled
        )
        self.add_loss(cost / self.num_calls)
        return cost

    def compute_output_shape(self, *_):
        return ()

    def get_config(self):
        return {
            **super().get_config(),
            "num_weight_candidates": self.num_weight_candidates,
            "num_activation_candidates": self.num_activation_candidates,
            "num_calls": self.num_calls,
            "coupled": self.coupled,
        }
