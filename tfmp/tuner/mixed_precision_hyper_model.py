"""`HyperModel` of mixed precision under a budget."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner

from tfmp.annotations import KerasModel
from tfmp.assign.sensitivity import Sensitivity
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_instance, check_integer
from tfmp.costs import CostLike
from tfmp.files.run_identity import array_digest, digest
from tfmp.graph import Graph
from tfmp.graph.graph_identity import graph_identity
from tfmp.search.budget import Budget
from tfmp.search.searched_cost import SearchedCost
from tfmp.transform.relax import relax
from tfmp.tuner import strategies as known
from tfmp.tuner.training import Training
from tfmp.tuner.trial_record import cost_text
from tfmp.tuner.trial_space import RELAX_ARGUMENTS, BudgetRange, SearchSpace


class MixedPrecisionHyperModel(keras_tuner.HyperModel):
    """A network, the budgets to try, and the strategies to spend them.

    Every structure that the choices allow is built once, to compute the costs of its assignments. Budgets that no
    assignment meets are never proposed to an oracle.

    Args:
        model: A trained Keras model; or a function of a width multiplier that builds one, which is then trained in
            floating point, once for each width.
        budgets: A list of `tfmp.Budget`, or a `BudgetRange`. None for `BudgetTuner(minimize=...)`, which sets them.
        training: A `Training`.
        strategies: How a trial spends its budget: names of `strategy_names()`, or functions of a `TrialRun`, see
            `register_strategy`. `"mixed"` searches bits; the others are baselines without a search, for the same number
            of epochs.
        choices: More hyperparameters, by name: any argument of `tfmp.relax`; `learning_rate` (1e-3, at chosen bits),
            `search_learning_rate` (1e-3) and `selection_learning_rate` (`"scheduled"`, as in `SelectionOptimizer`; a
            number is a rate of Adam); `width` (1.0), for a function; `multiplier`, a mapping of arguments of
            `tfmp.search.DualAscent`, which then replaces the scheduled multiplier; `temperature`, as in
            `tfmp.MixedPrecisionSearch`. A list has the values to choose from, `{"weight_bits": [(1, 2, 4), (2, 4,
            8)]}`; a pair of learning rates is a range; any other value is the same in every trial.
        sensitivity: A `tfmp.Sensitivity` of the model, relaxed by these choices, for the strategies `"ilp"` and
            `"greedy"`. Other structures, and all without it, are measured with the loss, once for all budgets.
        seed: Integer for initial weights, order and noise, the same in every trial.

    Raises:
        TypeError: If the model, a budget or a name has a wrong type.
        ValueError: If a structure meets none of the budgets; the message names the smallest feasible value. If two
            budgets have different costs of one name.

    Example:
        >>> budgets = [tfmp.Budget("bitops", like_uniform=(bits, bits)) for bits in (2, 3, 4)]
        >>> hypermodel = tfmp.tuner.MixedPrecisionHyperModel(model, budgets, training=tfmp.tuner.Training(loss))
    """

    starts_from_float = True  # trials start from the weights of a float model

    def __init__(
        self,
        model: KerasModel | Callable[[float], KerasModel],
        budgets: Sequence[Budget] | BudgetRange | None = None,
        *,
        training: Training,
        strategies: str | known.Strategy | Sequence[str | known.Strategy] = ("mixed",),
        choices: Mapping[str, Any] | None = None,
        sensitivity: Sensitivity | None = None,
        seed: int = 0,
    ):
        super().__init__(name="mixed_precision")
        self.training = check_instance("training", training, Training, "a `tfmp.tuner.Training`")
        self.seed = check_integer("seed", seed, at_least=0)
        if not callable(strategies):
            check_instance("strategies", strategies, (str, list, tuple), "a list of names or functions")
        given = [strategies] if callable(strategies) or isinstance(strategies, str) else strategies
        self.strategies = [known.name_of(each) for each in given]
        if choices is not None:
            check_instance("choices", choices, Mapping, "a mapping of names to values")
        self._choices = dict(choices or {})
        if sensitivity is not None:
            check_instance("sensitivity", sensitivity, Sensitivity, "a `tfmp.Sensitivity`")
        self.sensitivities = [] if sensitivity is None else [sensitivity]
        self._sensitivity = None if sensitivity is None else digest(sensitivity.scores)
        is_model = hasattr(model, "get_weights")
        if not is_model and not callable(model):
            raise TypeError(f"`model` must be a Keras model or a function of the width. Received: {model!r}")
        self._model: KerasModel | None = model if is_model else None
        self._float_builder: Callable[[float], KerasModel] = model
        self.budgets = budgets
        self._space: SearchSpace | None = None
        self._priced: dict[str, Graph] = {}
        self._budgets_of: dict[str, Any] = {}
        first = self.new_float_model(1.0)
        self.framework, self._num_weights = framework_of(first), first.count_params()
        training.check(self.framework.package)
        self.float_graph = framework_of(first).read(first, weights=False)
        if budgets is not None:
            self.set_budgets(budgets)

    @property
    def is_trained(self) -> bool:
        """Whether the model was given with trained weights."""
        return self._model is not None

    @property
    def space(self) -> SearchSpace:
        """The choices of a trial.

        Raises:
            ValueError: If the hypermodel has no budgets.
        """
        if self._space is None:
            raise ValueError("The hypermodel has no `budgets`. Give it a list of tfmp.Budget, or use `minimize=`.")
        return self._space

    def set_budgets(self, budgets: Sequence[Budget] | BudgetRange) -> None:
        """Sets the budgets to try, and determines which of them can be met."""
        self.budgets = budgets
        self._space = SearchSpace(budgets, self.strategies, self._choices)
        self._budgets_of = {}
        for structure, chosen in self._space.structures():
            self._budgets_of[_key(structure)] = self._feasible(structure, chosen)

    def new_float_model(self, width: float) -> KerasModel:
        """Returns the float model of a width, as it was given or with new weights.

        Raises:
            ValueError: If the model was given, and the width is not 1.
        """
        if self._model is None:
            return self._float_builder(width)
        if width != 1:
            raise ValueError(
                f"`width` needs `model` to be a function of it, that builds the network. Received: a model, {width=}"
            )
        return self._model

    def relax_arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments of `tfmp.relax`, from the values of a trial."""
        return {"seed": self.seed} | {name: values[name] for name in RELAX_ARGUMENTS if name in values}

    def declare(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Registers the hyperparameters and returns their values, see `SearchSpace.declare`."""
        return self.space.declare(hp, self._budgets)

    @property
    def space_size(self) -> int | None:
        """The number of combinations of hyperparameters; None if one is a range."""
        return self.space.size(self._budgets)

    def _budgets(self, structure):
        return self._budgets_of[_key(structure)]

    def build(self, hp: keras_tuner.HyperParameters) -> KerasModel:
        """Returns the untrained relaxed model of some hyperparameters, with float weights."""
        values = self.declare(hp)
        return relax(self.new_float_model(values["width"]), **self.relax_arguments(values))

    def structure(self, values: Mapping[str, Any]) -> str:
        """Returns text that is equal for searches that can start from each other's weights and logits."""
        return f"{cost_text(values['budget'].cost)} {values['strategy']} {_key(values)}"

    def limit(self, values: Mapping[str, Any]) -> float:
        """Returns the limit of the searched layers' cost under the budget of a trial."""
        return values["budget"].limit_for(self._graph(values))

    @property
    def trial_bytes(self) -> int:
        """Estimates the bytes of a trial's files: weights, twice if its search is kept, and an optimizer's state."""
        return 4 * 4 * self._num_weights

    def identity(self) -> dict[str, Any]:
        """JSON that is equal for equal hypermodels; only an equal one resumes an experiment."""
        return {
            "model": graph_identity(self.float_graph),
            "weights": None if self._model is None else array_digest(*self._model.get_weights()),
            "space": self.space.identity(),
            "training": self.training.identity(self.framework.package),
            "seed": self.seed,
            **({} if self._sensitivity is None else {"sensitivity": self._sensitivity}),
        }

    def bounds(self, cost: CostLike, structure: Mapping[str, Any] | None = None) -> tuple[float, float]:
        """Returns the cost of the whole network at its cheapest and its most expensive assignment."""
        if structure is None:
            structure, _ = next(self._structures())
        priced = SearchedCost(self._graph(structure), cost)
        largest = float(sum(table.max() for table in priced.tables.values()))
        return priced.smallest + priced.outside, largest + priced.outside

    def _structures(self):
        return (self._space or SearchSpace(BudgetRange("bitops"), self.strategies, self._choices)).structures()

    def _graph(self, structure):
        key = _key(structure)
        if key not in self._priced:
            relaxed = relax(self.new_float_model(structure["width"]), **self.relax_arguments(structure))
            self._priced[key] = framework_of(relaxed).read(relaxed, weights=False)
        return self._priced[key]

    def _feasible(self, structure, chosen):
        """Returns the texts of the budgets that can be met, or their range."""
        if isinstance(self.budgets, BudgetRange):
            return self.budgets.within(*self.bounds(self.budgets.cost, structure))
        feasible, error = [], None
        for text, budget in self.space.budgets.items():
            try:
                budget.limit_for(self._graph(structure))
                feasible.append(text)
            except ValueError as infeasible:
                error = infeasible
        if not feasible:
            where = "".join(f" With {name}={text}." for name, text in chosen.items())
            raise ValueError(f"None of the budgets can be met. {error}{where}")
        return feasible


def _key(structure):
    return repr(sorted((name, structure[name]) for name in ("width", *RELAX_ARGUMENTS) if name in structure))
