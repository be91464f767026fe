"""Derives one network from the controller's probabilities."""

import dataclasses

import numpy as np
import tensorflow as tf

from tfmp.checks import check_integer, check_number
from tfmp.joint.epoch_batches import as_tensors, epoch_batches, iterate
from tfmp.mixins.restoring import restoring


class NetworkDerivation:
    """What a `JointSearch` found: a part of it that reads its controller, supernet and target."""

    def derive(self, *, samples=0, spend=0.0, validation=None, batch_size=64, seed=0):
        """Returns the network that the search found, a `DiscreteNetwork`.

        Args:
            samples: 0 for the most probable candidate of every choice, whatever it costs. Else the number of networks
                that are drawn beside it; the best of those that cost no more than the target is returned.
            spend: Share of the target that they cost at least, to compare networks at equal cost. Where the
                probabilities are still wide, such networks may be far from the most probable one.
            validation: Images and labels, as for `fit`, on which the supernet, restricted to a network, says how good
                it is: the one of the least loss is the best. Their batches are held in memory. Without them the most
                probable one is the best.
            batch_size: Of arrays.
            seed: Integer, for the draws and the order of arrays.

        Raises:
            ValueError: If no network that was drawn is within the target and spends its share, `spend` is not from 0 to
                below 1, or `validation` has no batch.
        """
        check_integer("samples", samples, at_least=0)
        check_number("spend", spend, at_least=0, below=1, hint="It is a share of the target")
        check_integer("batch_size", batch_size, at_least=1)
        check_integer("seed", seed, at_least=0)
        probabilities = self.probabilities()
        found = self.categoricals.most_probable(probabilities)
        if not samples:
            network = self.categoricals.network(found)
            return dataclasses.replace(network, provenance=self._provenance(network, "most_probable"))
        drawn = [found, *self.categoricals.sample(probabilities, samples, (seed, samples))]
        networks = list(dict.fromkeys(map(self.categoricals.network, drawn)))
        costs = [self.cost_gradient.cost_of(network) for network in networks]
        least = spend * self.target
        within = [network for network, cost in zip(networks, costs, strict=True) if least <= cost <= self.target]
        if not within:
            spending = f" and costs {least:g} or more" if spend else ""
            raise ValueError(
                f"None of {len(networks)} networks is within the target of {self.target:g}{spending}; they cost from "
                f"{min(costs):g} to {max(costs):g}. Raise `samples`, search longer, or take the most probable network."
            )
        if validation is None:
            indices = map(self.categoricals.indices, within)
            scores = [-self.categoricals.log_probability(probabilities, each) for each in indices]
        else:
            batches = list(iterate(epoch_batches(validation, 0, batch_size, seed)))
            scores = [self.restricted_loss(network, batches) for network in within]
        network = within[int(np.argmin(scores))]
        return dataclasses.replace(network, provenance=self._provenance(network, "best_of_samples"))

    def restricted_loss(self, network, batches) -> float:
        """Returns the mean loss of the supernet as one network, with the statistics of each batch."""
        choices = tf.constant(self.categoricals.one_hot(self.categoricals.indices(network)))
        with restoring(self.supernet.non_trainable_variables):
            losses = [self._restricted_loss(*as_tensors(batch), choices) for batch in iterate(batches)]
        if not losses:
            raise ValueError(f"Expected at least one batch of images and labels. Received none: {batches!r}")
        return float(np.mean(losses))

    def _provenance(self, network, strategy):
        return {
            "strategy": strategy,
            "target": self.target,
            "cost": self.cost_gradient.cost_of(network),
            "epochs": len(self.history),
            "settings": dataclasses.asdict(self.settings),
        }
