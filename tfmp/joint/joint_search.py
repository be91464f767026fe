"""The joint search of architecture and precision."""

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from tfmp.annotations import KerasModel, Tensor
from tfmp.checks import check_function, check_instance, check_integer, check_number, check_path
from tfmp.costs import CostLike
from tfmp.files.run_identity import array_digest, described, version
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.cost_gradient import CostGradient, ExactGradient, Reinforce
from tfmp.joint.cross_entropy import cross_entropy
from tfmp.joint.derived_model import best_within_target
from tfmp.joint.discrete_network import DiscreteNetwork
from tfmp.joint.joint_backup import JointBackup, value_of
from tfmp.joint.joint_data import check_part, check_step, check_variables, epoch_batches, iterate
from tfmp.joint.joint_settings import JointSettings
from tfmp.joint.joint_trainer import JointTrainer
from tfmp.joint.oracle import Oracle
from tfmp.joint.search_space import SearchSpace

_FOR_WEIGHTS, _FOR_CONTROLLER, _FOR_COST = range(3)


class JointSearch:
    """Searches the blocks of a network and their bits together, under a target for the cost of the network.

    A supernet holds every network of the space, fully quantized; a controller holds the logits of each choice. The
    supernet's weights learn from training batches under samples of the controller. The controller learns from
    validation batches, by the gradient through its samples, and from the cost:

        min E[L_val] + penalty * max(0, E[cost] / target - 1)

    Costs that are sums over layers have the exact expectation; others are estimated from sampled networks (REINFORCE).

    Args:
        space: `tfmp.joint.SearchSpace`.
        target: Limit of the network's cost, in the cost's unit.
        cost: Name of a cost or a `tfmp.costs.Cost`; or a `tfmp.joint.Oracle` or a function from a
            `tfmp.joint.DiscreteNetwork` to a number; or a `tfmp.joint.CostGradient` that estimates it.
        settings: `tfmp.joint.JointSettings`.
        optimizers: A pair: the optimizers of the weights and of the controller.
        loss: Function of labels and logits to a scalar; cross-entropy by default, without label smoothing.
        backup_dir: Folder for the state after each epoch, from which a killed search resumes. Starting again with the
            same arguments resumes after the last complete epoch, also with more epochs, and gives the result of an
            uninterrupted search. Any other difference is an error that names it: the supernet's initial weights, so set
            a random seed before; arrays by all their values, batches by their number, functions by their name.

    Attributes:
        trainer: The `JointTrainer`, which holds the supernet, the controller and their optimizers.
        supernet: The model; its inputs are images and choices.
        logits: `[rows, width]` variable of the controller, in the order of `tfmp.joint.Categoricals`.
        history: One dict for each epoch: `loss`; `validation_loss` and `expected_cost` (as a share of the target), None
            before the controller learns; `entropy` (mean over the choices, 1 is undecided); `temperature`.

    Raises:
        ValueError: If the target is not positive, or the cost is not a sum over layers.

    Example:
        >>> search = tfmp.joint.JointSearch(space, target=0.5e6)
        >>> search.fit((x, y), (x_validation, y_validation), epochs=60)
        >>> model = tfmp.joint.build_network(keras, search.derive())
    """

    def __init__(
        self,
        space: SearchSpace,
        target: float,
        *,
        cost: CostLike | CostGradient | Callable[[DiscreteNetwork], float] = "energy",
        settings: JointSettings | None = None,
        optimizers: tuple[Any, Any] | None = None,
        loss: Callable[[Any, Any], Any] | None = None,
        backup_dir: str | os.PathLike[str] | None = None,
    ):
        self.space = check_instance("space", space, SearchSpace, "a `tfmp.joint.SearchSpace`")
        self.target = check_number("target", target, above=0, hint="Give it in the unit of the cost")
        expected = "`tfmp.joint.JointSettings`, or None"
        self.settings = check_instance("settings", settings, (JointSettings, type(None)), expected) or JointSettings()
        if loss is not None:
            check_function("loss", loss, "labels and logits")
        if backup_dir is not None:
            check_path("backup_dir", backup_dir)
        self.loss = loss or cross_entropy
        self.categoricals = Categoricals(space)
        self.cost_gradient = _cost_gradient(space, cost)
        self.trainer = JointTrainer(self.categoricals, self.settings, optimizers, self.loss)
        self.history: list[dict[str, Any]] = []
        self._backup = JointBackup(backup_dir, self.trainer, self.cost_gradient)
        both = {"weights": self.weights_optimizer, "controller": self.controller_optimizer}
        self._optimizers = described(both)  # their current configuration: callbacks may change a rate
        self._start_weights = None

    @property
    def supernet(self) -> KerasModel:
        return self.trainer.supernet

    @property
    def logits(self) -> Tensor:
        return self.trainer.logits

    @property
    def weights_optimizer(self) -> Any:
        return self.trainer.weights_optimizer

    @property
    def controller_optimizer(self) -> Any:
        return self.trainer.controller_optimizer

    def fit(
        self,
        training: Any,
        validation: Any,
        *,
        epochs: int,
        batch_size: int = 64,
        seed: int = 0,
        report: Callable[[dict[str, Any]], Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Runs the search.

        An epoch passes once over both parts; the controller's steps are spread evenly among those of the weights.

        Args:
            training: Images and labels as a pair of arrays, which are shuffled by (seed, epoch); batches of them, a
                `keras.utils.PyDataset` or `tf.data.Dataset` for example; or a function from the epoch to such batches.
            validation: Other data in the same form, from which the controller learns.
            epochs: Total number of epochs, including those before a resumption.
            batch_size: Batch size of arrays.
            seed: Integer, for samples and shuffling.
            report: Function that is called after each epoch with its entry of `history`, `print` for example.

        Returns:
            `history`.

        Raises:
            ValueError: If a part has no batch, or data that are not finite; if the backup belongs to another search, a
                loss, a gradient or a variable becomes NaN or infinite, or an oracle fails. The state after the last
                complete epoch is then in `backup_dir`.
        """
        check_integer("epochs", epochs, at_least=1)
        check_integer("batch_size", batch_size, at_least=1)
        check_integer("seed", seed, at_least=0)
        if report is not None:
            check_function("report", report, "an entry of `history`")
        num_classes = self.space.num_classes if self.loss is cross_entropy else None
        for name, part in (("training", training), ("validation", validation)):
            check_part(name, part, num_classes)

        def identity():
            return self._identity(training, validation, seed, batch_size)

        with self._backup.resumed(identity, epochs) as resumed:
            first_epoch, self.history = resumed or (len(self.history), self.history)
            self._check_variables("before the first step")
            for epoch in range(first_epoch, epochs):
                first, second = (epoch_batches(part, epoch, batch_size, seed) for part in (training, validation))
                self.history.append({"epoch": epoch, **self._epoch(epoch, first, second, seed)})
                self._check_variables(f"after epoch {epoch + 1}")
                self._backup.save(epoch + 1, self.history)
                if report is not None:
                    report(self.history[-1])
        return self.history

    def _epoch(self, epoch, training, validation, seed):
        if not (len(training) and len(validation)):
            raise ValueError(
                "Expected at least one batch of either part. "
                f"Received: {len(training)} for the weights and {len(validation)} for the controller."
            )
        temperature = self.settings.temperature_in(epoch)
        losses, validation_losses, expected = [], [], None
        validation_batches = iterate(validation)
        for step, batch in enumerate(iterate(training)):
            options = {"where": f"in step {step + 1} of epoch {epoch + 1}", "backup": self._backup}
            seeds = (seed, epoch, step, _FOR_WEIGHTS)
            losses.append(self.trainer.train_weights(batch, seed=seeds, temperature=temperature))
            check_step("loss of the weights", losses[-1], batch, **options)
            due = (step + 1) * len(validation) // len(training)
            while epoch >= self.settings.weight_epochs and len(validation_losses) < due:
                seeds, held_out = (seed, epoch, len(validation_losses)), next(validation_batches)
                value, gradient = self.trainer.gradient(
                    batch, held_out, seed=(*seeds, _FOR_CONTROLLER), temperature=temperature
                )
                validation_losses.append(value)
                check_step("loss of the controller", value, held_out, **options)
                check_step("gradient of the controller", gradient, held_out, **options)
                cost = self._move_logits(np.asarray(gradient, np.float64), (*seeds, _FOR_COST))
                expected = cost / self.target
        return {
            "loss": float(np.mean(losses)),
            "validation_loss": float(np.mean(validation_losses)) if validation_losses else None,
            "expected_cost": expected,
            "entropy": self.entropy(),
            "temperature": float(np.float32(temperature)),
        }

    def _move_logits(self, gradient, seed):
        """Updates the logits by the gradients of the validation loss and the cost; returns the expected cost."""
        cost = self.cost_gradient.estimate(self.trainer.logit_values(), seed)
        if cost.expected > self.target or self.settings.two_sided:
            sign = np.sign(cost.expected - self.target)
            gradient = gradient + sign * self.settings.penalty / self.target * cost.gradient
        self.trainer.move_logits(gradient)
        return cost.expected

    def _check_variables(self, when):
        check_variables((*self.supernet.variables, self.logits), when=when, backup=self._backup)

    def _identity(self, training, validation, seed, batch_size):
        """Returns JSON that must be equal in a backup and the search that resumes it."""
        if self._start_weights is None:  # the weights change, but the search remains the same
            floats = (value for value in map(value_of, self.supernet.variables) if value.dtype.kind == "f")
            self._start_weights = array_digest(*floats, value_of(self.logits))
        identity = {
            "tfmp": version(),
            "weights": self._start_weights,
            "space": self.space.as_dict(),
            "target": self.target,
            "cost": {"learned": type(self.cost_gradient).__name__, **self.cost_gradient.identity()},
            "settings": dataclasses.asdict(self.settings),
            "optimizers": self._optimizers,
            "loss": described(self.loss),
            "training": described(training),
            "validation": described(validation),
            "batch_size": batch_size,
            "seed": seed,
        }
        return json.loads(json.dumps(identity, default=str))

    def derive(
        self, *, samples: int = 0, spend: float = 0.0, validation: Any = None, batch_size: int = 64, seed: int = 0
    ) -> DiscreteNetwork:
        """Returns the network that the search chose, a `DiscreteNetwork`.

        Args:
            samples: 0 for the most probable candidate of every choice, at any cost. Otherwise the number of networks
                that are sampled in addition; the best of those within the target is returned.
            spend: Smallest share of the target that they must cost, to compare networks at equal cost. If choices are
                still undecided, such networks may differ much from the most probable one.
            validation: Images and labels, as in `fit`. The best network is the one with the lowest loss on them in the
                supernet. Their batches are kept in memory. Without them, the most probable network is the best.
            batch_size: Batch size of arrays.
            seed: Integer, for the samples and the order of arrays.

        Raises:
            ValueError: If no network is within the target and costs that share, `spend` is not from 0 to below 1, or
                `validation` has no batch.
        """
        check_integer("samples", samples, at_least=0)
        check_number("spend", spend, at_least=0, below=1, hint="It is a share of the target")
        check_integer("batch_size", batch_size, at_least=1)
        check_integer("seed", seed, at_least=0)
        probabilities, cost_of = self.probabilities(), self.cost_gradient.cost_of
        if samples:
            loss_of = None
            if validation is not None:
                batches = list(iterate(epoch_batches(validation, 0, batch_size, seed)))

                def loss_of(network):
                    return self.restricted_loss(network, batches)

            options: dict[str, Any] = {"samples": samples, "spend": spend, "seed": seed, "loss_of": loss_of}
            network = best_within_target(self.categoricals, probabilities, self.target, cost_of, **options)
        else:
            network = self.categoricals.network(self.categoricals.most_probable(probabilities))
        provenance = {
            "strategy": "best_of_samples" if samples else "most_probable",
            "target": self.target,
            "cost": cost_of(network),
            "epochs": len(self.history),
            "settings": dataclasses.asdict(self.settings),
            "history": [dict(entry) for entry in self.history],
        }
        return dataclasses.replace(network, provenance=provenance)

    def restricted_loss(self, network: DiscreteNetwork, batches: Any) -> float:
        """Returns the mean loss of the supernet restricted to one network, with the statistics of each batch."""
        return self.trainer.restricted_loss(network, batches)

    def probabilities(self) -> np.ndarray:
        """Returns the probability of each candidate, `[rows, width]`, in the order of `tfmp.joint.Categoricals`."""
        return self.categoricals.probabilities(self.trainer.logit_values())

    def entropy(self) -> float:
        """Returns the mean normalized entropy of the open choices, from 0 to 1 (undecided)."""
        probabilities, counts = self.probabilities(), self.categoricals.counts
        nats = -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=1)
        return float(np.mean(nats[counts > 1] / np.log(counts[counts > 1]))) if (counts > 1).any() else 0.0


def _cost_gradient(space, cost):
    if isinstance(cost, CostGradient):
        return cost
    if isinstance(cost, Oracle) or (callable(cost) and not isinstance(cost, str)):
        return Reinforce(space, cost)
    return ExactGradient(space, cost)
