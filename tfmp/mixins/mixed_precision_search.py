"""Body of the search callback."""

import collections
import copy
from collections.abc import Mapping

import numpy as np

from tfmp import costs
from tfmp.checks import check_instance, check_numbers
from tfmp.mixins.alternation import Alternation
from tfmp.mixins.decided_choices import DecidedChoices
from tfmp.mixins.search_backup import SearchBackup
from tfmp.mixins.search_callback import SearchCallbackMixin
from tfmp.mixins.search_figures import mixture_variance, selection_entropy
from tfmp.search.budget import budgets_of, priced_limits
from tfmp.search.lagrangian import DualAscent, FixedMultiplier, Multiplier
from tfmp.search.penalty import Penalty
from tfmp.search.searched_cost import SearchedCost


class MixedPrecisionSearchMixin(SearchCallbackMixin):
    """Puts a budget on a relaxed model while it trains.

    At every step it prices the layers' choices (multiplier * cost table / normalizer) and, with a budget, moves the
    multiplier. Pass it to `fit`, or call `set_model` and then `step` in a loop of your own.

    Args:
        budget: A `tfmp.Budget` to be met by dual ascent, or a list of those of several costs, each with a multiplier of
            its own; a cost is normalized by its budget.
        eta: A fixed multiplier instead (EdMIPS, eq. 6); the cost is normalized by the first searched layer's at one
            bit, or at its cheapest bits where the cost has no price for one.
        cost: With `eta`, the cost that it multiplies; by default BitOps.
        multiplier: With `budget`, how the multiplier moves, a `tfmp.search.Multiplier`; by default `DualAscent()`. With
            several budgets each gets a copy of it.
        temperature: `(first, last)`: selectors with a temperature fall from one to the other over the epochs, by an
            equal factor each.
        backup_dir: Folder where each epoch leaves what a killed run needs to go on. Starting again with the same
            arguments resumes after the last complete epoch, and ends as the unbroken run where the order of the data
            depends on the epoch alone (`shuffle=False`, or data that shuffle themselves by epoch). More epochs go on
            from there, too, unless a temperature falls over them; any other difference is an error that names it.
        selection_data: Held-out data on which the logits learn, in steps of their own, while all else learns in those
            of `fit`: a `tfmp.SelectionData`, or what one is made from, `(x, y)` or a `tf.data.Dataset`. The model needs
            a `SelectionOptimizer`. None updates both in one pass.
        freeze_above: Probability above which the most probable candidate of a tensor is taken for decided, and its
            logits stay, unless the budget could then no longer be met. None leaves all open.
        identity: Mapping of what a callback cannot see, the data of `fit` and the seed of their order for example:
            `{"x": x_train, "y": y_train, "seed": 0}`. A backup is taken up by a search that gives the same. Arrays are
            compared by a digest, and must be finite. That data which are not given are the same is up to the caller.

    Logs, at the end of each epoch: `expected_cost` and `discrete_cost` (of the searched layers, normalized),
    `cost_gap` (their difference), `multiplier`, `selection_entropy` (mean over the selectors, 1 is undecided),
    `mixture_variance` (mean over the tensors, see `tfmp.relaxation.relative_variance`). With several budgets the first
    four are logged for each cost, `expected_cost/bitops`, and so is the `cost` of every step. With `freeze_above` there
    is `decided`, how many choices are.

    Attributes:
        penalties: A `tfmp.search.penalty.Penalty` for each budget, or the one of `eta`; empty until there is a model.
        multiplier: The multiplier, or a list with that of each budget.

    Raises:
        ValueError: If not exactly one of `budget` and `eta` is given, or with it what belongs to the other; before
            training, if the budget cannot be met, the cost has no positive normalizer, the backup is that of another
            search, or weights or data are not finite; while training, if the loss or a variable is NaN or infinite.
            Such a state is never saved.
    """

    def __init__(
        self,
        budget=None,
        *,
        eta=None,
        cost=None,
        multiplier=None,
        temperature=(1.0, 0.1),
        backup_dir=None,
        selection_data=None,
        freeze_above=None,
        identity=None,
    ):
        super().__init__()
        if (budget is None) == (eta is None):
            raise ValueError(f"A search takes either `budget` or `eta`. Received: budget={budget}, eta={eta}")
        if budget is not None and cost is not None:
            raise ValueError(f"`cost` goes with `eta`: a budget has a cost of its own. Received: cost={cost!r}")
        if eta is not None and multiplier is not None:
            raise ValueError(f"`multiplier` goes with `budget`: `eta` is one that stays. Received: {multiplier!r}")
        if multiplier is not None:
            check_instance("multiplier", multiplier, Multiplier, "a `tfmp.search.Multiplier`")
        self.temperature = check_numbers("temperature", temperature, count=2, above=0, hint="Give (first, last)")
        if cost is not None:
            costs.get(cost)  # an unknown name fails here, not in the middle of a training
        self.budget = budget
        self.cost = cost
        first = FixedMultiplier(eta) if budget is None else (multiplier or DualAscent())
        count = 1 if budget is None else len(budgets_of(budget))
        self._multipliers = [first, *(copy.deepcopy(first) for _ in range(count - 1))]
        self._multiplier_starts = [each.state() for each in self._multipliers]
        self._backup, self._run_identity = SearchBackup.of(backup_dir), None
        self._alternation = None if selection_data is None else Alternation(selection_data)
        self._decided = None if freeze_above is None else DecidedChoices(freeze_above)
        self.penalties, self.prepared_model = [], None
        if identity is not None:
            check_instance("identity", identity, Mapping, "a mapping", hint="Give {'x': x_train, 'y': y_train}")
        self.identity = identity or {}
        self._has_seen_data, self._epoch = False, 0

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
        if self.budget is None:
            priced, limits = [SearchedCost(graph, "bitops" if self.cost is None else self.cost)], [None]
        else:
            priced, limits = priced_limits(self.budget, graph)
        self._restore(self._multiplier_starts)
        self.penalties = [
            Penalty(*pair, limit=limit) for *pair, limit in zip(priced, self._multipliers, limits, strict=True)
        ]
        self._layers = {name: layers[name] for name in priced[0].names}
        self._calls = collections.Counter(call.layer for call in graph.calls)
        if self._decided is not None:
            self._decided.prepare(self._layers, self.penalties)
        self._write_prices(self.probabilities())

    @property
    def multiplier(self) -> Multiplier | list[Multiplier]:
        return self._multipliers if isinstance(self.budget, list | tuple) else self._multipliers[0]

    def _restore(self, states):
        for multiplier, state in zip(self._multipliers, states, strict=True):
            multiplier.restore(state)

    def step(self):
        """Moves the multipliers and writes the layers' prices, and the logits that are decided.

        Call it once after every training step.

        Returns:
            The expected cost, normalized as in the loss; with several budgets the largest of them.
        """
        return max(self._step().values())

    def _step(self):
        probabilities, found = self.probabilities(), {}
        if self._decided is not None and self._decided.step(probabilities):
            probabilities = self.probabilities()
        for penalty in self.penalties:
            found |= self._labelled({"cost": penalty.step(probabilities)}, penalty)
        if self.budget is not None:
            self._write_prices(probabilities)
        return found

    def _labelled(self, figures, penalty):
        """With several budgets, each figure under the name of its cost."""
        if not isinstance(self.budget, list | tuple):
            return figures
        return {f"{key}/{penalty.priced.cost.name}": value for key, value in figures.items()}

    def _write_prices(self, probabilities):
        prices = [penalty.prices(probabilities) for penalty in self.penalties]
        for name, layer in self._layers.items():
            # Each call adds a share; a layer placed by hand may not know how often it is called.
            share = layer.num_calls / self._calls[name]
            layer.selection_cost.set_price(share * sum(price[name] for price in prices))

    def probabilities(self):
        """Layer name to the arrays of its weight and activation probabilities."""
        return {
            name: tuple(
                np.ones(1) if selector is None else np.asarray(selector.probabilities(), np.float64)
                for selector in (layer.weight_selector, layer.activation_selector)
            )
            for name, layer in self._layers.items()
        }

    def set_temperature(self, epoch, epochs):
        """Writes the temperature of an epoch, counted from 0, into the selectors that have one."""
        first, last = self.temperature
        value = first * (last / first) ** (epoch / max(1, epochs - 1))
        for selector in self._selectors():
            if selector.temperature is not None:
                selector.temperature.assign(value)

    def summary(self) -> dict[str, float]:
        """The figures that an epoch logs."""
        probabilities, figures = self.probabilities(), {}
        for penalty in self.penalties:
            figures |= self._labelled(penalty.summary(probabilities), penalty)
        figures["selection_entropy"] = selection_entropy(probabilities)
        figures["mixture_variance"] = mixture_variance(self._layers.values())
        if self._decided is not None:
            figures["decided"] = float(len(self._decided))
        return figures

    def logits(self):
        """The variables that choose; those of coupled tensors once."""
        return list({id(s.logits): s.logits for s in self._selectors() if s.logits is not None}.values())

    def _selectors(self):
        for layer in self._layers.values():
            yield from (s for s in (layer.weight_selector, layer.activation_selector) if s is not None)
