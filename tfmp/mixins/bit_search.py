"""Sets the prices of bits while a model trains."""

import collections
import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfmp import costs
from tfmp.annotations import KerasLayer
from tfmp.checks import check_instance, check_numbers
from tfmp.costs import CostLike
from tfmp.graph import Graph
from tfmp.mixins.decided_choices import DecidedChoices
from tfmp.mixins.scheduled_choices import ScheduledChoices
from tfmp.mixins.searched_choices import SearchedChoices
from tfmp.search.budget import Budget, budgets_of, priced_limits
from tfmp.search.lagrangian import DualAscent, FixedMultiplier, Multiplier, Penalty, ScheduledAscent
from tfmp.search.search_schedule import SearchSchedule
from tfmp.search.searched_cost import SearchedCost
from tfmp.search.undecided import selection_entropy, warn_if_undecided


class BitSearch:
    """Updates multipliers and the prices of a relaxed model's layers at every training step.

    It does not depend on `fit`: `MixedPrecisionSearchMixin` calls it while a model trains.

    Args:
        budget, eta, cost, multiplier, temperature, freeze_above: As in `MixedPrecisionSearchMixin`.

    Attributes:
        penalties: One `tfmp.search.lagrangian.Penalty` per budget, or the one of `eta`; empty before `prepare`.
        multipliers: The multiplier of each.
        layers: The layers whose bits are open, by name.
        decided: The `DecidedChoices`, or None.
        figures: What the progress bar shows after a step: the expected cost for each budget, the entropy of the choices
            and the number of decided ones.
        schedule: The `SearchSchedule` from which the rates follow, None if the optimizers have their own.

    Raises:
        ValueError: If not exactly one of `budget` and `eta` is given, or an argument that belongs to the other.
    """

    def __init__(
        self,
        budget: Budget | Sequence[Budget] | None,
        *,
        eta: float | None,
        cost: CostLike | None,
        multiplier: Multiplier | None,
        temperature: tuple[float, float],
        freeze_above: float | None,
    ):
        if (budget is None) == (eta is None):
            raise ValueError(f"A search takes either `budget` or `eta`. Received: budget={budget}, eta={eta}")
        if budget is not None and cost is not None:
            raise ValueError(f"`cost` is only allowed with `eta`: a budget has its own cost. Received: cost={cost!r}")
        if eta is not None and multiplier is not None:
            raise ValueError(
                f"`multiplier` is only allowed with `budget`: `eta` is a fixed multiplier. Received: {multiplier!r}"
            )
        if multiplier is not None:
            check_instance("multiplier", multiplier, Multiplier, "a `tfmp.search.Multiplier`")
        self.temperature = check_numbers("temperature", temperature, count=2, above=0, hint="Give (first, last)")
        if cost is not None:
            costs.get(cost)  # raises an error for an unknown name before training
        self.budget, self.cost = budget, cost
        self._multiplier = multiplier if eta is None else FixedMultiplier(eta)
        self._multiplier_start = None if self._multiplier is None else self._multiplier.state()
        self.freeze_above = freeze_above
        self.decided: DecidedChoices | None = None
        self.schedule: SearchSchedule | None = None
        self._set_rates()
        self.penalties: list[Penalty] = []
        self.layers: dict[str, KerasLayer] = {}
        self.figures: dict[str, float] = {}

    def _set_rates(self):
        """Sets the multipliers, and what decides choices, for the current schedule."""
        default = DualAscent() if self.schedule is None else ScheduledAscent()
        first = default if self._multiplier is None else self._multiplier
        count = 1 if self.budget is None else len(budgets_of(self.budget))
        self.multipliers = [first, *(copy.deepcopy(first) for _ in range(count - 1))]
        self.multiplier_starts = [self._multiplier_start or first.state()] * count
        if self.schedule is not None:
            self.decided = ScheduledChoices(self.schedule, self.freeze_above)
        else:
            self.decided = None if self.freeze_above is None else DecidedChoices(self.freeze_above)

    def use_schedule(self, is_scheduled: bool) -> None:
        """Lets the rates follow from the number of steps, or not; a change restarts a search that was prepared."""
        if is_scheduled == (self.schedule is not None):
            return
        self.schedule = SearchSchedule() if is_scheduled else None
        self._set_rates()
        if self.penalties:
            self._start()

    def prepare(self, graph: Graph, layers: Mapping[str, KerasLayer]) -> None:
        """Sets the model to search.

        Args:
            graph: Its `Graph`.
            layers: Its layers, by name.
        """
        if not graph.searched:
            raise ValueError(
                f"Model `{graph.name}` has no layer whose bits are open. Relax a model first: `tfmp.relax(model)`."
            )
        if self.budget is None:
            priced = [SearchedCost(graph, "bitops" if self.cost is None else self.cost)]
            limits: Sequence[float | None] = [None]
        else:
            priced, limits = priced_limits(self.budget, graph)
        if self.schedule is not None:
            self.schedule = SearchSchedule()
            self._set_rates()
        self._priced_limits = list(zip(priced, limits, strict=True))
        self.layers = {name: layers[name] for name in priced[0].names}
        self._choices = SearchedChoices(self.layers)
        self._calls = collections.Counter(call.layer for call in graph.calls)
        self._start()

    def _start(self):
        """Sets the penalties and the prices of the first step."""
        self._restore(self.multiplier_starts)
        self.penalties = [
            Penalty(priced, multiplier, limit=limit)
            for (priced, limit), multiplier in zip(self._priced_limits, self.multipliers, strict=True)
        ]
        if self.decided is not None:
            self.decided.prepare(self.layers, self.penalties)
        self._write_prices(self.probabilities())

    @property
    def has_several_budgets(self) -> bool:
        """True for a list of budgets; figures are then reported by the name of the cost."""
        return isinstance(self.budget, list | tuple)

    def step(self, steps: int = 1) -> dict[str, float]:
        """Updates the multipliers, the prices of the layers and the logits of decided choices.

        Args:
            steps: Number of training steps since the last call.

        Returns:
            The expected cost for each budget, normalized as in the loss.
        """
        if self.schedule is not None:
            self.schedule.advance(steps)
            for multiplier in self.multipliers:
                if isinstance(multiplier, ScheduledAscent):
                    multiplier.advance(self.schedule.progress, self.schedule.fraction)
        probabilities = self.probabilities()
        if self.decided is not None and self.decided.step(probabilities):
            probabilities = self.probabilities()
        for penalty in self.penalties:
            penalty.step(probabilities)
        if isinstance(self.decided, ScheduledChoices) and self.decided.correct(probabilities):
            probabilities = self.probabilities()
        if self.budget is not None:
            self._write_prices(probabilities)
        figures: dict[str, float] = {}
        for penalty in self.penalties:
            figures |= self._labelled({"cost": penalty.expected(probabilities)}, penalty)
        self.figures = {**figures, **self._decisions(probabilities)}
        return figures

    def _labelled(self, figures, penalty):
        if not self.has_several_budgets:
            return figures
        return {f"{key}/{penalty.priced.cost.name}": value for key, value in figures.items()}

    def _write_prices(self, probabilities):
        prices = [penalty.prices(probabilities) for penalty in self.penalties]
        # Each call adds a share; `num_calls` of a layer placed by hand may be wrong.
        shares = {name: layer.num_calls / self._calls[name] for name, layer in self.layers.items()}
        self._choices.set_prices({name: share * sum(price[name] for price in prices) for name, share in shares.items()})

    def probabilities(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Returns the weight and activation probabilities by layer name, as arrays."""
        return self._choices.probabilities()

    @property
    def has_temperature(self) -> bool:
        """True if a selector has a temperature."""
        return any(selector.temperature is not None for selector in self._selectors())

    def set_temperature(self, epoch: int, epochs: int) -> None:
        """Writes the temperature of an epoch, counted from 0, into the selectors that have one."""
        first, last = self.temperature
        value = first * (last / first) ** (epoch / max(1, epochs - 1))
        for selector in self._selectors():
            if selector.temperature is not None:
                selector.temperature.assign(value)

    def summary(self) -> dict[str, float]:
        """Returns the figures for the logs of an epoch."""
        probabilities = self.probabilities()
        figures: dict[str, float] = {}
        for penalty in self.penalties:
            figures |= self._labelled(penalty.summary(probabilities), penalty)
        figures |= self._decisions(probabilities)
        figures["mixture_variance"] = mixture_variance(self.layers.values())
        return figures

    def _decisions(self, probabilities):
        figures = {"selection_entropy": selection_entropy(probabilities)}
        if self.decided is not None:
            figures["decided"] = float(len(self.decided))
        return figures

    def warn_if_undecided(self, *, way_out: str, stacklevel: int = 2) -> None:
        """Warns if choices are open, or a budget is exceeded."""
        probabilities = self.probabilities()
        costs = {p.priced.cost.name: p.expected(probabilities) for p in self.penalties if p.limit is not None}
        warn_if_undecided(probabilities, costs, way_out=way_out, stacklevel=stacklevel + 1)

    def logits(self) -> list[Any]:
        """The logits; those of coupled tensors once."""
        return list({id(s.logits): s.logits for s in self._selectors() if s.logits is not None}.values())

    def _selectors(self):
        for layer in self.layers.values():
            yield from (s for s in (layer.weight_selector, layer.activation_selector) if s is not None)

    def state(self) -> dict[str, Any]:
        """Returns the state of the search without the variables, as JSON."""
        return {
            "multipliers": [multiplier.state() for multiplier in self.multipliers],
            "decided": None if self.decided is None else self.decided.state(),
            "schedule": None if self.schedule is None else self.schedule.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores a state, after the values of the logits."""
        self._restore(state["multipliers"])
        if self.schedule is not None:
            self.schedule.restore(state["schedule"])
        if self.decided is not None:
            self.decided.restore(state["decided"])
        self._write_prices(self.probabilities())

    def _restore(self, states):
        for multiplier, state in zip(self.multipliers, states, strict=True):
            multiplier.restore(state)


def mixture_variance(layers: Iterable[KerasLayer]) -> float:
    """Returns the mean relative variance of mixtures: of the kernels, and of the activations in the last batch."""
    variances = []
    for layer in layers:
        if layer.weight_selector is not None and len(layer.weight_selector.bits) > 1:
            variances.append(float(layer.weight_selector.relative_variance(layer.kernels())))
        if layer.activation_selector is not None and len(layer.activation_selector.bits) > 1:
            variances.append(float(tf.convert_to_tensor(layer.activation_selector.mixture_variance)))
    return float(np.mean(variances))
