"""Sensitivities of all candidates of a network, from which bits follow for any budget."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp import costs
from tfmp.annotations import KerasModel
from tfmp.assign.baselines import BudgetProblem, greedy, ilp
from tfmp.assign.discretize import decided
from tfmp.assign.forecasting import forecast_row, uniform_budgets
from tfmp.assign.network_identity import check_same_network, network_difference
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_choice, check_instance, check_instances, check_integer
from tfmp.files.json_record import JsonRecord
from tfmp.graph import BitAssignment, Graph
from tfmp.reports import Forecast, ParetoFront
from tfmp.search.budget import Budget, budgets_of, priced_limits
from tfmp.search.knapsack import least
from tfmp.search.searched_cost import SearchedCost

METHODS = ("exact", "greedy")
_TENSORS = ("weights", "activations")


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """The sensitivity of every candidate of every searched tensor, as `tfmp.measure_sensitivity` returns it.

    It is measured once; bits for any budget and any cost then follow in less than a second. Sensitivities are assumed
    to add up over the tensors, and more bits never count as worse.

    Args:
        scores: Layer name to `{"weights": {bits: score}, "activations": {bits: score}}`: the increase of the output
            error with this tensor alone at these bits, relative to all tensors at 8 bits.
        method: `"output"` or `"gradient"`.
        error: The error whose increase the scores are: `"kl"`, `"squared_error"`, `"divergence"` for the one that suits
            each output, or `"loss"`.
        model: Identity of the network: a digest of each searched layer, and one of all weights.
        data: Identity of the data: `num_samples` and `digest`.
        versions: Versions of the packages that measured it.
        eight_bit_error: The output error with all tensors at 8 bits, more than in floating point; 0 if it is not known.
        graph: The search network, whose costs budgets bound; None if the scores were loaded without it.

    Example:
        >>> sensitivity = tfmp.measure_sensitivity(search_model, x_train[:256])  # doctest: +SKIP
        >>> for bits in (3, 4, 5):  # doctest: +SKIP
        ...     assignment = sensitivity.assign(tfmp.Budget("model_size", like_uniform=(bits, 8)))
    """

    scores: Mapping[str, Mapping[str, Mapping[int, float]]]
    method: str
    error: str
    model: Mapping[str, Any]
    data: Mapping[str, Any]
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    eight_bit_error: float = 0.0
    graph: Graph | None = dataclasses.field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_instance("scores", self.scores, Mapping, "a mapping of layer names to scores")
        checked = {}
        for name, tensors in self.scores.items():
            parts = check_instance("scores", tensors, Mapping, "a mapping", where=f"Layer `{name}`")
            checked[name] = {tensor: {int(b): float(s) for b, s in parts[tensor].items()} for tensor in _TENSORS}
            values = [value for scores in checked[name].values() for value in scores.values()]
            if not values or not np.isfinite(values).all():
                raise ValueError(f"Layer `{name}`: scores must be finite numbers by bits. Received: {dict(tensors)}")
        object.__setattr__(self, "scores", checked)

    def assign(self, budget: Budget | Sequence[Budget], *, method: str = "exact") -> BitAssignment:
        """Returns the bits with the smallest sum of sensitivities within a budget.

        Args:
            budget: A `tfmp.Budget`, or a list of several that all hold.
            method: `"exact"` solves a multiple-choice knapsack; `"greedy"` repeatedly makes the change with the best
                gain for its cost, a baseline that is at most as good.

        Returns:
            A `BitAssignment`; its provenance has the scores, and the predicted harm of the assignment.

        Raises:
            ValueError: If the budget cannot be met (the message has the smallest feasible value), or the scores were
                loaded without their model.
        """
        check_choice("method", method, METHODS)
        budgets, graph = budgets_of(budget), self._bound_graph()
        bits = dict(self._bits_within(budgets, *priced_limits(budgets, graph), method=method))
        return decided(
            graph,
            bits,
            strategy="sensitivity",
            method=method,
            budget=budget,
            harm=self.harm(bits),
            scores=self.method,
            sensitivity={
                name: {tensor: list(scores.values()) for tensor, scores in tensors.items()}
                for name, tensors in self.scores.items()
            },
        )

    def _bits_within(self, budgets, priced, limits, method="exact"):
        solve = ilp if method == "exact" else greedy
        return solve(BudgetProblem(self._bound_graph(), budgets, priced, limits, self.tables()))

    def harm(self, assignment: BitAssignment | Mapping[str, tuple[int, int]]) -> float:
        """Returns the predicted harm of an assignment: the error at 8 bits and the sum of its sensitivities.

        Raises:
            ValueError: If it is for other layers, or has bits that are no candidates.
        """
        bits, total = BitAssignment.of(assignment).bits, self.eight_bit_error
        if set(bits) != set(self.scores):
            raise ValueError(
                f"The assignment must name the layers {', '.join(self.scores)}. Received: {', '.join(bits)}"
            )
        for name, table in self.tables().items():
            index = []
            for tensor, chosen in zip(_TENSORS, bits[name], strict=True):
                known = list(self.scores[name][tensor])
                # A tensor without a choice has the same bits in every assignment.
                index.append(0 if len(known) == 1 else known.index(check_choice("bits", chosen, known, where=name)))
            total += float(table[index[0], index[1]])
        return total

    def tables(self) -> dict[str, np.ndarray]:
        """Returns a `[W, A]` array per layer: the harm of each pair of candidates.

        More bits never count as worse: if they measure worse, this is the noise of few samples.
        """
        tables = {}
        for name, tensors in self.scores.items():
            weights, activations = (np.minimum.accumulate(list(tensors[tensor].values())) for tensor in _TENSORS)
            tables[name] = np.add.outer(weights, activations)
        return tables

    def front(self, cost: costs.CostLike = "bitops", *, points: int = 20) -> ParetoFront:
        """Returns predicted harm against cost: the exact assignment at budgets from the cheapest to the costliest.

        Args:
            cost: Name of a cost, or a `tfmp.costs.Cost`.
            points: Number of budgets, in equal ratios; equal assignments are one point.

        Returns:
            A `ParetoFront` whose points have the cost of the searched layers, `harm`, and `bits` by layer.

        Raises:
            ValueError: If the scores were loaded without their model.
        """
        check_integer("points", points, at_least=2)
        priced = SearchedCost(self._bound_graph(), cost)
        found: dict[str, dict[str, Any]] = {}
        for limit in limits_between(priced, points):
            bits = self._bits_within((), [priced], [limit])
            point = {priced.cost.name: priced.of(bits), "harm": self.harm(bits)}
            found[str(bits)] = {**point, "bits": {name: list(pair) for name, pair in bits.items()}}
        return ParetoFront(list(found.values()), priced.cost.name, "harm", y_direction="min")

    def forecast(self, budgets: Sequence[Budget] | None = None, *, cost: costs.CostLike = "bitops") -> Forecast:
        """Predicts whether mixed bits will pay, before anything is trained.

        For each budget, it compares the predicted harm of the best assignment with that of uniform bits at the same
        cost, interpolated between their pairs, and with that of `"depthwise_8"`.

        Args:
            budgets: `tfmp.Budget`s, each for itself, or one; None for those of uniform bits.
            cost: Without budgets, the cost of the uniform bits.

        Returns:
            A `tfmp.reports.Forecast`; `print` it for a table with a verdict for each budget.

        Raises:
            ValueError: If a budget cannot be met, or the scores were loaded without their model.

        Example:
            >>> budgets = [tfmp.Budget("model_size", like_uniform=(bits, 8)) for bits in (3, 4, 5)]
            >>> print(sensitivity.forecast(budgets))  # doctest: +SKIP
        """
        graph = self._bound_graph()
        if budgets is None:
            budgets = uniform_budgets(graph, cost)
        elif isinstance(budgets, Budget):
            budgets = [budgets]
        budgets = check_instances("budgets", budgets, Budget, "`tfmp.Budget`s, or one")
        rows = [forecast_row(graph, self.tables(), budget, eight_bit_error=self.eight_bit_error) for budget in budgets]
        return Forecast(graph.name, self.error, rows)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes the scores as JSON, with the identity of model and data.

        Raises:
            FileExistsError: If the file exists and `overwrite` is False.
        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.compare}
        _RECORD.write(fields, path, overwrite=overwrite)

    @classmethod
    def load(cls, source: str | os.PathLike[str], search_model: KerasModel | None = None) -> "Sensitivity":
        """Reads scores from a file.

        Args:
            source: A path, or the JSON text itself.
            search_model: The relaxed model that was measured, built again or loaded; budgets need it. None for the
                scores alone.

        Raises:
            ValueError: If it is no such file, or belongs to another model.
        """
        names = [field.name for field in dataclasses.fields(cls) if field.compare]
        loaded = _RECORD.read(source, lambda content: cls(**{name: content[name] for name in names if name in content}))
        return loaded if search_model is None else loaded.of(search_model)

    def of(self, search_model: KerasModel) -> "Sensitivity":
        """Returns the scores with the network of a relaxed model, whose costs budgets then bound.

        Args:
            search_model: A relaxed model of the same layers, weights and candidates as the one that was measured.

        Raises:
            ValueError: If it is another model; the message names the difference.
        """
        framework = framework_of(search_model, "search_model")
        check_same_network(self.scores, self.model, framework.read(search_model))
        return dataclasses.replace(self, graph=framework.read(search_model, weights=False))

    def is_of(self, search_model: KerasModel) -> bool:
        """Returns True if a relaxed model has the layers, weights and candidates of the one that was measured."""
        graph = framework_of(search_model, "search_model").read(search_model)
        return not network_difference(self.scores, self.model, graph)

    def __str__(self) -> str:
        width = max(map(len, self.scores))
        lines = [f"{self.error}, method {self.method!r}, {self.data.get('num_samples')} samples"]
        lines += [f"{name:<{width}}  {scores_text(tensors)}" for name, tensors in self.scores.items()]
        return "\n".join(lines)

    def _bound_graph(self) -> Graph:
        if self.graph is None:
            raise ValueError(
                "A budget needs the network whose cost it bounds. Received: scores that were loaded without it. Give "
                "it: `tfmp.Sensitivity.load(path, search_model)`, or `sensitivity.of(search_model)`."
            )
        return self.graph


def scores_text(tensors: Mapping[str, Mapping[int, float]]) -> str:
    """Returns the scores of a layer in a line: `W 2: 0.31 4: 0.02; A 2: 0.5 4: 0.04`."""
    parts = (
        f"{tensor[0].upper()} " + " ".join(f"{bits}: {score:.3g}" for bits, score in tensors[tensor].items())
        for tensor in _TENSORS
    )
    return "; ".join(parts)


def limits_between(priced: SearchedCost, count: int) -> np.ndarray:
    """Returns limits in equal ratios from the cheapest to the most expensive assignment of a `SearchedCost`."""
    cheapest = least([], [], priced)
    largest = max(float(each.constant + sum(table.max() for table in each.tables.values())) for each in priced.sums)
    limits = np.geomspace(cheapest, largest, count) if cheapest > 0 else np.linspace(cheapest, largest, count)
    return np.clip(limits, cheapest, largest)


_RECORD = JsonRecord(
    "tfmp.Sensitivity",
    "sensitivities",
    "`Sensitivity.save`",
    needed=("scores", "method", "error", "model", "data", "versions"),
)
