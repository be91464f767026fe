"""The joint search of architecture and precision."""

import numpy as np
import tensorflow as tf

from tfmp.checks import check_function, check_instance, check_integer, check_number, check_path
from tfmp.files.run_identity import described
from tfmp.joint.categoricals import Categoricals
from tfmp.joint.cost_gradient import CostGradient, ExactGradient, Reinforce
from tfmp.joint.cross_entropy import cross_entropy
from tfmp.joint.epoch_batches import as_tensors, epoch_batches, iterate
from tfmp.joint.joint_backup import JointBackup
from tfmp.joint.joint_checks import JointChecks
from tfmp.joint.joint_settings import JointSettings
from tfmp.joint.network_derivation import NetworkDerivation
from tfmp.joint.oracle import Oracle
from tfmp.joint.search_space import SearchSpace
from tfmp.joint.validation_gradient import validation_gradient
from tfmp.mixins.restoring import restoring
from tfmp.mixins.search_backup import SearchBackup
from tfmp.relaxation.gumbel_sample import gumbel_sample

_FOR_WEIGHTS, _FOR_CONTROLLER, _FOR_COST = range(3)


class JointSearchMixin(NetworkDerivation, JointBackup, JointChecks):
    """Searches the blocks of a network and their bits at once, under a target for what the network costs.

    A supernet holds every network of the space, quantized throughout; a controller holds the logits of each choice. The
    supernet's weights learn from training batches under samples of the controller. The controller learns from
    validation batches, by the gradient that passes through its samples, and from the cost, which has no gradient of its
    own:

        min E[L_val] + penalty * max(0, E[cost] / target - 1)

    Costs that are sums over layers have the exact expectation; others are estimated from sampled networks (REINFORCE).

    Args:
        space: `tfmp.joint.SearchSpace`.
        target: What the network may cost, in the cost's unit.
        cost: Name of a cost or a `tfmp.costs.Cost`; or a `tfmp.joint.Oracle` or a function from a
            `tfmp.joint.DiscreteNetwork` to a number; or a `tfmp.joint.CostGradient` that says how it is learned.
        settings: `tfmp.joint.JointSettings`.
        optimizers: Those of the weights and of the controller.
        loss: Function of labels and logits to a scalar; cross-entropy by default, without label smoothing.
        backup_dir: Folder where each epoch leaves what a killed search needs to go on. Starting again with the same
            arguments resumes after the last complete epoch and ends as the unbroken search, also with more epochs.
            Anything else that differs is an error that names it: the supernet's first weights, so set a random seed
            before; arrays of data by all their values, batches by their number, functions by their name.

    Attributes:
        supernet: The model; its inputs are images and choices.
        logits: `[rows, width]` variable of the controller, in the order of `tfmp.joint.Categoricals`.
        history: One dict for each epoch: `loss`; `validation_loss` and `expected_cost` (by the target), None before the
            controller learns; `entropy` (mean over the choices, 1 is undecided); `temperature`.

    Raises:
        ValueError: If the target is not positive, or the cost is none of a sum over layers.

    Example:
        >>> search = tfmp.JointSearch(space, target=0.5e6)
        >>> search.fit((x, y), (x_validation, y_validation), epochs=60)
        >>> model = tfmp.build_network(keras, search.derive())
    """

    def __init__(
        self,
        space,
        target,
        *,
        cost="energy",
        settings=None,
        optimizers=None,
        loss=None,
        backup_dir=None,
    ):
        self.space = check_instance("space", space, SearchSpace, "a `tfmp.joint.SearchSpace`")
        self.target = check_number("target", target, above=0, hint="Give it in the unit of the cost")
        expected = "`tfmp.joint.JointSettings`, or None"
        self.settings = check_instance("settings", settings, (JointSettings, type(None)), expected) or JointSettings()
        if loss is not None:
            check_function("loss", loss, "labels and logits")
        if backup_dir is not None:
            check_path("backup_dir", backup_dir)
        self.categoricals = Categoricals(space)
        self.cost_gradient = _cost_gradient(space, cost)
        self.supernet = self.make_supernet(space)
        self.logits = self.make_variable(self.categoricals.shape)
        self.weights_optimizer, self.controller_optimizer = self.make_optimizers(optimizers)
        self.weights_optimizer.build(self.supernet.trainable_variables)
        self.controller_optimizer.build([self.logits])
        self.loss = loss or cross_entropy
        self.history = []
        optimizers = {"weights": self.weights_optimizer, "controller": self.controller_optimizer}
        self._optimizers = described(optimizers)  # as they are now: callbacks may move a rate
        self._backup = SearchBackup.of(backup_dir)
        self._train_weights = tf.function(self._weights_step, autograph=False)
        self._loss_gradient = tf.function(self._controller_gradient, autograph=False)
        self._restricted_loss = tf.function(self._loss_of_choices, autograph=False)

    def fit(self, training, validation, *, epochs, batch_size=64, seed=0, report=None):
        """Searches.

        An epoch passes once over both parts; the controller's steps are spread evenly among those of the weights.

        Args:
            training: Images and labels as a pair of arrays, which are shuffled by (seed, epoch); batches of them, a
                `keras.utils.PyDataset` or `tf.data.Dataset` for example; or a function of the epoch to such batches.
            validation: Others, likewise, from which the controller learns.
            epochs: In all, those before a resumption included.
            batch_size: Of arrays.
            seed: Integer, for samples and shuffling.
            report: Function that is called with the entry of `history` after each epoch, `print` for example.

        Returns:
            `history`.

        Raises:
            ValueError: If a part has no batch, or data that are not finite; if a backup is of another search, a loss, a
                gradient or a variable becomes NaN or infinite, or an oracle fails; the state after the last complete
                epoch is in `backup_dir` then.
        """
        check_integer("epochs", epochs, at_least=1)
        check_integer("batch_size", batch_size, at_least=1)
        check_integer("seed", seed, at_least=0)
        if report is not None:
            check_function("report", report, "an entry of `history`")
        for name, part in (("training", training), ("validation", validation)):
            self._check_data(name, part)
        identity = None if self._backup is None else self._identity(training, validation, seed, batch_size)
        with self._resumed(identity, epochs) as first_epoch:
            self._check_variables("before the first step")
            for epoch in range(first_epoch, epochs):
                parts = (epoch_batches(part, epoch, batch_size, seed) for part in (training, validation))
                self.history.append({"epoch": epoch, **self._epoch(epoch, *parts, seed)})
                self._check_variables(f"after epoch {epoch + 1}")
                if self._backup is not None:
                    self._save(epoch + 1, identity)
                if report is not None:
                    report(self.history[-1])
        return self.history

    def _epoch(self, epoch, training, validation, seed):
        if not (len(training) and len(validation)):
            raise ValueError(
                "Expected at least one batch of either part. "
                f"Received: {len(training)} for the weights and {len(validation)} for the controller."
            )
        settings = self.settings
        temperature = tf.constant(settings.temperature_in(epoch), tf.float32)
        losses, validation_losses, expected = [], [], None
        validation_batches = iterate(validation)
        for step, batch in enumerate(iterate(training)):
            noise = self._noise((seed, epoch, step, _FOR_WEIGHTS))
            losses.append(self._train_weights(*as_tensors(batch), noise, temperature))
            self._check_step("loss of the weights", losses[-1], batch, epoch, step)
            due = (step + 1) * len(validation) // len(training)
            while epoch >= settings.weight_epochs and len(validation_losses) < due:
                seeds = (seed, epoch, len(validation_losses))
                noise = self._noise((*seeds, _FOR_CONTROLLER))
                rate = tf.convert_to_tensor(self.weights_optimizer.learning_rate)
                pair = as_tensors(batch), as_tensors(next(validation_batches))
                value, gradient = self._loss_gradient(*pair, noise, temperature, rate)
                validation_losses.append(value)
                self._check_step("loss of the controller", value, pair[1], epoch, step)
                self._check_step("gradient of the controller", gradient, pair[1], epoch, step)
                expected = self._move_logits(np.asarray(gradient, np.float64), (*seeds, _FOR_COST)) / self.target
        return {
            "loss": float(np.mean(losses)),
            "validation_loss": float(np.mean(validation_losses)) if validation_losses else None,
            "expected_cost": expected,
            "entropy": self.entropy(),
            "temperature": float(temperature),
        }

    def _noise(self, seed):
        return tf.constant(np.random.default_rng(seed).gumbel(size=self.categoricals.shape), tf.float32)

    def _logits(self):
        return np.asarray(tf.convert_to_tensor(self.logits), np.float64)

    def _move_logits(self, gradient, seed):
        cost = self.cost_gradient.estimate(self._logits(), seed)
        if cost.expected > self.target or self.settings.two_sided:
            sign = np.sign(cost.expected - self.target)
            gradient = gradient + sign * self.settings.penalty / self.target * cost.gradient
        self.controller_optimizer.apply([tf.constant(gradient, tf.float32)], [self.logits])
        return cost.expected

    def _sample(self, logits, noise, temperature):
        hard = self.settings.samples == "hard"
        return gumbel_sample(logits, self.categoricals.mask, noise, temperature, hard=hard)

    def _loss_of_choices(self, images, labels, choices):
        value = self.loss(labels, self.supernet([images, choices], training=True))
        return tf.add_n([value, *self.supernet.losses])

    def _weights_step(self, images, labels, noise, temperature):
        choices = self._sample(tf.convert_to_tensor(self.logits), noise, temperature)
        weights = self.supernet.trainable_variables
        with tf.GradientTape() as tape:
            value = self._loss_of_choices(images, labels, choices)
        self.weights_optimizer.apply(tape.gradient(value, weights, unconnected_gradients="zero"), weights)
        return value

    def _controller_gradient(self, training, validation, noise, temperature, step_size):
        def loss(batch, logits):
            return self._loss_of_choices(*batch, self._sample(logits, noise, temperature))

        with restoring(self.supernet.non_trainable_variables):
            return validation_gradient(
                loss,
                self.supernet.trainable_variables,
                tf.convert_to_tensor(self.logits),
                training,
                validation,
                order=self.settings.order,
                step_size=step_size,
            )

    def probabilities(self) -> np.ndarray:
        """`[rows, width]`: how likely each candidate is, in the order of `tfmp.joint.Categoricals`."""
        return self.categoricals.probabilities(self._logits())

    def entropy(self) -> float:
        """Mean over the open choices of how undecided they are, from 0 to 1."""
        probabilities, counts = self.probabilities(), self.categoricals.counts
        nats = -(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=1)
        return float(np.mean(nats[counts > 1] / np.log(counts[counts > 1]))) if (counts > 1).any() else 0.0


def _cost_gradient(space, cost):
    if isinstance(cost, CostGradient):
        return cost
    if isinstance(cost, Oracle) or (callable(cost) and not isinstance(cost, str)):
        return Reinforce(space, cost)
    return ExactGradient(space, cost)
