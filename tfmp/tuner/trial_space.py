"""Budgets and hyperparameters of trials."""

import dataclasses
import inspect
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras_tuner

from tfmp import costs
from tfmp.checks import check_instances
from tfmp.quantizers import Quantizer, name_of
from tfmp.search.budget import Budget
from tfmp.transform.relax import relax
from tfmp.tuner.trial_record import cost_digests, cost_text


@dataclasses.dataclass(frozen=True)
class BudgetRange:
    """All limits of a cost between two values, for oracles that draw or bisect instead of choosing from a list.

    Args:
        cost: Name of a cost, or a `tfmp.costs.Cost`.
        low: The smallest limit for the whole network, in the cost's unit; None for the cost of the cheapest assignment.
        high: The largest limit; None for the cost with all layers at the most bits of their candidates.

    Example:
        >>> BudgetRange("tflite_bytes", high=20_000).high
        20000.0
    """

    cost: costs.CostLike
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                limit = Budget(self.cost, limit=getattr(self, name)).limit  # with its errors
                object.__setattr__(self, name, limit)
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"`low` must be below `high`. Received: {self.low:g} and {self.high:g}")
        costs.get(self.cost)

    def within(self, smallest: float, largest: float) -> "BudgetRange":
        """Returns the part of the range between a network's cheapest and most expensive assignment.

        Raises:
            ValueError: If there is none.
        """
        low = smallest if self.low is None else max(self.low, smallest)
        high = largest if self.high is None else min(self.high, largest)
        if low >= high:
            unit = costs.get(self.cost).unit
            raise ValueError(
                f"The range from {low:g} to {high:g} {unit} has no feasible budget: the assignments of the network "
                f"cost from {smallest:g} to {largest:g}. Move `low` and `high`, or offer other bits."
            )
        return BudgetRange(self.cost, low, high)


# Each can be a list of values to choose from; rates can also be a pair, the ends of a range.
RATES = {"learning_rate": 1e-3, "search_learning_rate": 1e-3, "selection_learning_rate": "scheduled"}
OTHERS = {"width": 1.0, "multiplier": {}, "temperature": (1.0, 0.1)}
RELAX_ARGUMENTS = tuple(name for name in inspect.signature(relax).parameters if name not in ("model", "calibration"))

_STRUCTURAL = ("width", *RELAX_ARGUMENTS)


class SearchSpace:
    """The hyperparameters of a tuner and their values.

    Values are represented by text, because keras-tuner does not accept tuples: `"[2,4]"` for the candidates `(2, 4)`.

    Args:
        budgets: A list of `Budget`, or a `BudgetRange`.
        strategies: Names of strategies.
        choices: Name to a value; to a list of values to choose from; or, for a learning rate, to the pair of ends of a
            range. Names are those of `RATES`, `OTHERS` and `RELAX_ARGUMENTS`.

    Raises:
        TypeError: If a name is unknown, or a budget has a wrong type.
        ValueError: If there is nothing to choose from, a value is repeated, or two costs have one name.
    """

    def __init__(self, budgets: Sequence[Budget] | BudgetRange, strategies: Sequence[str], choices: Mapping[str, Any]):
        known = [*RATES, *OTHERS, *RELAX_ARGUMENTS]
        unknown = [name for name in choices if name not in known]
        if unknown:
            raise TypeError(f"`choices` can be {', '.join(known)}. Received: {', '.join(unknown)}")
        self.fixed = {**RATES, **OTHERS}
        self.ranges, self._lists = {}, {}
        if isinstance(budgets, BudgetRange):
            self.budgets = budgets
            self._cost_digests = cost_digests([budgets.cost])
        else:
            check_instances("budgets", budgets, Budget, "`tfmp.Budget`, or a `BudgetRange`")
            self._cost_digests = cost_digests([budget.cost for budget in budgets])
            self.budgets = _by_text("budgets", budgets, budget_text)
        self._lists["strategy"] = _by_text("strategies", strategies)
        for name, value in choices.items():
            if isinstance(value, list):
                self._lists[name] = _by_text(name, value)
            elif name in RATES and isinstance(value, tuple):
                self.ranges[name] = value
            else:
                self.fixed[name] = value

    @property
    def open_names(self) -> list[str]:
        """Names of all hyperparameters with more than one value, without budgets."""
        return [*self.ranges, *(name for name, options in self._lists.items() if len(options) > 1)]

    def structures(self) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
        """Yields, as mappings, all values that determine which budgets can be met: all except the rates."""
        names = [name for name in self._lists if name in _STRUCTURAL]
        for texts in itertools.product(*(self._lists[name] for name in names)):
            chosen = dict(zip(names, texts, strict=True))
            yield {**self.fixed, **{name: self._lists[name][text] for name, text in chosen.items()}}, chosen

    def declare(
        self, hp: keras_tuner.HyperParameters, budgets_of: Callable[[Mapping[str, Any]], Any]
    ) -> dict[str, Any]:
        """Registers all hyperparameters and returns their current values.

        If some choices leave fewer budgets than others, these choices become one hyperparameter, and each of its values
        has a separate hyperparameter for its budgets. So no oracle proposes a budget that no assignment meets.

        Args:
            hp: keras-tuner's `HyperParameters`.
            budgets_of: Function of the values of a structure that returns the texts of its feasible budgets, or a
                `BudgetRange`.

        Returns:
            Name to value, with `"budget"` and `"strategy"`.
        """
        structures = [(structure, chosen, budgets_of(structure)) for structure, chosen in self.structures()]
        depends = any(budgets != structures[0][-1] for *_, budgets in structures)
        values = dict(self.fixed)
        for name, options in self._lists.items():
            if not (depends and name in _STRUCTURAL):
                values[name] = options[hp.Choice(name, list(options))]
        for name, (low, high) in self.ranges.items():
            values[name] = hp.Float(name, low, high, sampling="log")
        if not depends:
            return values | {"budget": self._declare_budget(hp, "budget", structures[0][-1])}
        texts = ["; ".join(f"{name}={text}" for name, text in chosen.items()) for _, chosen, _ in structures]
        decided = hp.Choice("structure", texts)
        for text, (structure, chosen, budgets) in zip(texts, structures, strict=True):
            with hp.conditional_scope("structure", [text]):
                budget = self._declare_budget(hp, f"budget with {text}", budgets)
            if text == decided:
                values |= {name: structure[name] for name in chosen} | {"budget": budget}
        return values

    def size(self, budgets_of: Callable[[Mapping[str, Any]], Any]) -> int | None:
        """Returns the number of combinations; None if there is a range."""
        if self.ranges or isinstance(self.budgets, BudgetRange):
            return None
        structures = sum(len(budgets_of(structure)) for structure, _ in self.structures())
        others = [options for name, options in self._lists.items() if name not in _STRUCTURAL]
        return structures * math.prod(map(len, others))

    def _declare_budget(self, hp, name, budgets):
        if isinstance(budgets, BudgetRange):
            limit = hp.Float(name, budgets.low, budgets.high, sampling="log")
            return None if limit is None else Budget(budgets.cost, limit=limit)
        return self.budgets.get(hp.Choice(name, budgets))  # None if it is not active

    def identity(self) -> dict[str, Any]:
        """JSON that is equal for equal spaces."""
        budgets: str | list[str]
        given = self.budgets
        if isinstance(given, BudgetRange):
            budgets = f"BudgetRange(cost={cost_text(given.cost)!r}, low={given.low!r}, high={given.high!r})"
        else:
            budgets = list(given)
        costs = {"costs": self._cost_digests} if self._cost_digests else {}
        lists = {name: list(options) for name, options in self._lists.items()}
        fixed = {name: _text(value) for name, value in self.fixed.items()}
        ranges = {name: list(ends) for name, ends in self.ranges.items()}
        return {"budgets": budgets, **costs, **fixed, **ranges, **lists}


def budget_text(budget: Budget) -> str:
    """Returns the text of a budget as a hyperparameter: `bitops like 2,2`, `tflite_bytes up to 20000`."""
    cost = cost_text(budget.cost)
    if budget.like_uniform is not None:
        return f"{cost} like {','.join(map(str, budget.like_uniform))}"
    return f"{cost} up to {budget.limit:.12g}"


def _by_text(name, values, text_of=None):
    by_text = {}
    for value in values:
        text = (text_of or _text)(value)
        if text in by_text:
            raise ValueError(f"`{name}` must be different values. Received twice: {text}")
        by_text[text] = value
    if not by_text:
        raise ValueError(f"`{name}` must hold at least one value to choose from. Received none")
    return by_text


def _text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | list | tuple | int | float) or value is None:
        return json.dumps(value, separators=(",", ":"), sort_keys=True, default=_text)
    if isinstance(value, Quantizer) or (isinstance(value, type) and issubclass(value, Quantizer)):
        return name_of(value)
    return getattr(value, "__qualname__", type(value).__qualname__)
