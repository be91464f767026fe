"""What drives a search while a model trains."""

import collections

import numpy as np
import tensorflow as tf

from tfmp.mixins.search_backup import SearchBackup
from tfmp.search.budget import Budget, SearchedCost
from tfmp.search.lagrangian import DualAscent, FixedMultiplier
from tfmp.types import CodeFormat


class MixedPrecisionSearchMixin:
    """Puts a budget on a relaxed model while it trains.

    At every step it prices the layers' choices (multiplier * cost table / normalizer) and, with a budget, moves the
    multiplier. Pass it to `fit`, or call `set_model` and then `step` in a loop of your own.

    Args:
        budget: A `tfmp.Budget` to be met by dual ascent; the cost is normalized by it.
        eta: A fixed multiplier instead (EdMIPS, eq. 6); the cost is normalized by the first searched layer's at one
            bit.
        cost: With `eta`, the cost that it multiplies.
        multiplier: How the multiplier moves, a `tfmp.search.Multiplier`; by default `DualAscent()`.
        temperature: `(first, last)`: selectors with a temperature fall from one to the other over the epochs, by an
            equal factor each.
        backup_dir: Folder where each epoch leaves what a killed run needs to go on. Starting again with the same
            arguments resumes behind the last complete epoch, and ends as the unbroken run where the order of the data
            depends on the epoch alone (`shuffle=False`, or data that shuffle themselves by epoch).

    Logs, at the end of each epoch: `expected_cost` and `discrete_cost` (of the searched layers, normalized),
    `cost_gap` (their difference), `multiplier`, `selection_entropy` (mean over the selectors, 1 is undecided),
    `mixture_variance` (mean over the tensors, see `tfmp.selection.relative_variance`).

    Raises:
        ValueError: If not exactly one of `budget` and `eta` is given or the budget cannot be met.
    """

    def __init__(
        self,
        budget=None,
        *,
        eta=None,
        cost="bitops",
        multiplier=None,
        temperature=(1.0, 0.1),
        backup_dir=None,
    ):
        super().__init__()
        if (budget is None) == (eta is None):
            raise ValueError(f"A search takes either `budget` or `eta`. Received: budget={budget}, eta={eta}")
        if budget is not None and not isinstance(budget, Budget):
            raise TypeError(f"`budget` must be a `tfmp.Budget`. Received: {budget!r}")
        if not (len(temperature) == 2 and min(temperature) > 0):
            raise ValueError(f"`temperature` must be two positive numbers, (first, last). Received: {temperature!r}")
        self.budget = budget
        self.cost = budget.cost if budget is not None else cost
        self.multiplier = FixedMultiplier(eta) if budget is None else (multiplier or DualAscent())
        self._multiplier_start = self.multiplier.state()
        self.temperature = tuple(temperature)
        self._backup = None if backup_dir is None else SearchBackup(backup_dir)
        self.priced = self.limit = self.prepared_model = None

    def prepare(self, graph, layers):
        """Takes up a model.

        Args:
            graph: Its `Graph`.
            layers: Layer name to layer.
        """
        if not graph.searched:
            raise ValueError(
                f"Model `{graph.name}` has no layer whose bits are open. Relax a model first: `tfmp.relax(model)`."
            )
        self.multiplier.restore(self._multiplier_start)
        self.priced = SearchedCost(graph, self.cost)
        self.limit = None if self.budget is None else self.budget.limit_for(graph)
        self._layers = {name: layers[name] for name in self.priced.tables}
        self._calls = collections.Counter(call.layer for call in graph.calls)
        self._normalizer = self.limit if self.limit is not None else self._first_layer_cost()
        self._write_prices()

    def _first_layer_cost(self):
        """The cost of the first searched layer at one bit each: its FLOPs, for BitOps."""
        name = next(iter(self.priced.tables))
        shape = self.priced.graph.layers[name].shape
        one_bit = (CodeFormat(1, -1, 1),)
        return float(self.priced.cost.table(shape, one_bit, one_bit)[0, 0])

    def step(self):
        """Moves the multiplier and writes the layers' prices; call it once after every training step.

        Returns:
            The expected cost, normalized as in the loss.
        """
        cost = self.expected_cost()
        if self.limit is not None:
            self.multiplier.update(cost, self.limit)
            self._write_prices()
        return cost / self._normalizer

    def _write_prices(self):
        for name, table in self.priced.tables.items():
            layer = self._layers[name]
            # Each call adds a share; a layer placed by hand may not know how often it is called.
            share = layer.num_calls / self._calls[name]
            layer.selection_cost.set_price(share * self.multiplier.value * table / self._normalizer)

    def probabilities(self):
        """Layer name to the arrays of its weight and activation probabilities."""
        return {
            name: tuple(
                np.ones(1) if selector is None else np.asarray(selector.probabilities(), np.float64)
                for selector in (layer.weight_selector, layer.activation_selector)
            )
            for name, layer in self._layers.items()
        }

    def expected_cost(self) -> float:
        """Expected cost of the searched layers, in the cost's unit (EdMIPS, eq. 12)."""
        return self.priced.expected(self.probabilities())

    def discrete_cost(self) -> float:
        """Cost of the searched layers with each at its most probable bits."""
        bits = {}
        for name, pair in self.probabilities().items():
            layer = self.priced.graph.layers[name]
            bits[name] = (layer.weight.bits[pair[0].argmax()], layer.activation.bits[pair[1].argmax()])
        return self.priced.of(bits)

    def set_temperature(self, epoch, epochs):
        """Writes the temperature of an epoch, counted from 0, into the selectors that have one."""
        first, last = self.temperature
        value = first * (last / first) ** (epoch / max(1, epochs - 1))
        for selector in self._selectors():
            if selector.temperature is not None:
                selector.temperature.assign(value)

    def summary(self) -> dict[str, float]:
        """The figures that an epoch logs."""
        expected, discrete = self.expected_cost() / self._normalizer, self.discrete_cost() / self._normalizer
        return {
            "expected_cost": expected,
            "discrete_cost": discrete,
            "cost_gap": discrete - expected,
            "multiplier": self.multiplier.value,
            "selection_entropy": self._entropy(),
            "mixture_variance": self._mixture_variance(),
        }

    def _entropy(self):
        entropies = [
            float(-(p * np.log(np.maximum(p, 1e-12))).sum() / np.log(len(p)))
            for pair in self.probabilities().values()
            for p in pair
            if len(p) > 1
        ]
        return float(np.mean(entropies))

    def _mixture_variance(self):
        """Kernels are measured now, activations were on the last training batch."""
        variances = []
        for layer in self._layers.values():
            if layer.weight_selector is not None and len(layer.weight_selector.bits) > 1:
                variances.append(float(layer.weight_selector.relative_variance(np.asarray(layer.kernel, np.float32))))
            if layer.activation_selector is not None and len(layer.activation_selector.bits) > 1:
                variances.append(float(tf.convert_to_tensor(layer.activation_selector.mixture_variance)))
        return float(np.mean(variances))

    def _selectors(self):
        for layer in self._layers.values():
            yield from (s for s in (layer.weight_selector, layer.activation_selector) if s is not None)

    def load_backup(self):
        """Takes up the multiplier of the last complete epoch; returns `(epoch, variables)` of it, None without one."""
        if self._backup is None:
            return None
        found = self._backup.load([variable.shape for variable in self.backup_variables()], identity=self._identity())
        if found is None:
            return None
        epoch, variables, multiplier = found
        self.multiplier.restore(multiplier)
        self._write_prices()
        return epoch, variables

    def _identity(self):
        """What a backup must share with the search that takes it up."""
        eta = self.multiplier.value if self.budget is None else None
        return {"layers": list(self._layers), "cost": self.priced.cost.name, "limit": self.limit, "eta": eta}

    def on_epoch_begin(self, epoch, logs=None):
        self.set_temperature(epoch, self.params.get("epochs", 1))

    def on_train_batch_end(self, batch, logs=None):
        expected_cost = self.step()
        if logs is not None:
            logs["cost"] = expected_cost

    def on_epoch_end(self, epoch, logs=None):
        if logs is not None:
            logs.update(self.summary())
        if self._backup is not None:
            variables = [variable.numpy() for variable in self.backup_variables()]
            self._backup.save(epoch + 1, variables, identity=self._identity(), multiplier=self.multiplier.state())
