"""From a controller's probabilities to one network."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfmp.mixins.epoch_batches import as_tensors, iterate
from tfmp.mixins.kept import kept


class NetworkDerivation:
    """What a `JointSearch` found: a part of it that reads its controller, supernet and target."""

    def derive(self, *, samples=0, validation=None, seed=0):
        """Returns the network that the search found, a `DiscreteNetwork`.

        Args:
            samples: 0 for the most probable candidate of every choice, whatever it costs. Else the number of networks
                that are drawn beside it; the best of those that cost no more than the target is returned.
            validation: Batches of images and labels on which the supernet, restricted to a network, says how good it
                is; without them the most probable one is the best.
            seed: Integer, for the draws.

        Raises:
            ValueError: If no network that was drawn is within the target.
        """
        probabilities = self.probabilities()
        found = self.categoricals.most_probable(probabilities)
        if not samples:
            network = self.categoricals.network(found)
            return dataclasses.replace(network, provenance=self._provenance(network, "most_probable"))
        drawn = [found, *self.categoricals.sample(probabilities, samples, (seed, samples))]
        costs = [self.cost_gradient.cost_of(self.categoricals.network(indices)) for indices in drawn]
        within = [indices for indices, cost in zip(drawn, costs, strict=True) if cost <= self.target]
        if not within:
            raise ValueError(
                f"None of {len(drawn)} networks is within the target of {self.target:g}; the least costs "
                f"{min(costs):g}. Raise `samples`, search longer, or take the most probable network."
            )
        if validation is None:
            scores = [-self.categoricals.log_probability(probabilities, indices) for indices in within]
        else:
            scores = [self.restricted_loss(self.categoricals.network(indices), validation) for indices in within]
        network = self.categoricals.network(within[int(np.argmin(scores))])
        return dataclasses.replace(network, provenance=self._provenance(network, "best_of_samples"))

    def restricted_loss(self, network, batches) -> float:
        """Returns the mean loss of the supernet as one network, with the statistics of each batch."""
        choices = tf.constant(self.categoricals.one_hot(self.categoricals.indices(network)))
        with kept(self.supernet.non_trainable_variables):
            return float(np.mean([self._restricted_loss(*as_tensors(batch), choices) for batch in iterate(batches)]))

    def _provenance(self, network, strategy):
        return {
            "strategy": strategy,
            "target": self.target,
            "cost": self.cost_gradient.cost_of(network),
            "epochs": len(self.history),
            "settings": dataclasses.asdict(self.settings),
        }
