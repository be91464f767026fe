"""The search callback for `fit`, which drives a `BitSearch`."""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.annotations import KerasLayer, KerasMixin
from tfmp.checks import check_instance, check_integer
from tfmp.costs import CostLike
from tfmp.files.finite_values import NotFiniteError, check_finite, is_array, names_not_finite
from tfmp.graph import Graph
from tfmp.mixins.alternation import Alternation
from tfmp.mixins.bit_search import BitSearch
from tfmp.mixins.search_backup import SearchBackup
from tfmp.mixins.search_identity import search_identity, with_quantizer_options
from tfmp.search.budget import Budget
from tfmp.search.lagrangian import Multiplier

_OF_FIT = ("steps", "epochs")  # parts of the identity that are only known within `fit`
_FEWEST_STEPS = 50  # a shorter training tries a program, rather than searches
_WAY_OUT = (
    "Compile the model with `SelectionOptimizer(weights)`, whose rates of the logits follow from the number of steps, "
    "so that a search of any length ends decided and within the budget. If it has this optimizer, the training ended "
    "before the announced steps. With rates of your own, raise the learning rate of `selection`, or train longer."
)


class MixedPrecisionSearchMixin(KerasMixin):
    """Keeps a relaxed model within a budget while it trains.

    At every step it sets the prices of the layers' bits (multiplier * cost table / normalizer) and, with a budget,
    updates the multiplier. Pass it to `fit`, or call `set_model` and then `step` in your own loop.

    Args:
        budget: A `tfmp.Budget` to be met by dual ascent, or a list of budgets for several costs, each with its own
            multiplier; a cost is normalized by its budget.
        eta: A fixed multiplier instead (EdMIPS, eq. 6). The cost is normalized by that of the first searched layer at
            one bit, or at its cheapest bits if the cost has no price for one bit.
        cost: With `eta`, the cost that it multiplies; by default BitOps.
        multiplier: With `budget`, the update rule of the multiplier, a `tfmp.search.Multiplier`; by default
            the rule of a scheduled search if the `SelectionOptimizer` has `selection="scheduled"`, else
            `DualAscent()`. With several budgets, each gets a copy.
        temperature: `(first, last)`: the temperature falls from the first to the last value over the epochs, by an
            equal factor per epoch.
        backup_dir: Folder for the state after each epoch, from which a killed run resumes. Starting again with the same
            arguments resumes after the last complete epoch. The result is that of an uninterrupted run if the order of
            the data depends only on the epoch (`shuffle=False`, or data that shuffle themselves by epoch). The number
            of epochs may be increased, unless the temperature or the rates follow from it; any other difference is an
            error that names it.
        selection_data: Held-out data on which separate steps train the logits, while the steps of `fit` train all other
            variables: a `tfmp.SelectionData`, or its data, `(x, y)` or a `tf.data.Dataset`. The model needs a
            `SelectionOptimizer`. None updates both in one pass.
        freeze_above: Probability above which the choice of a tensor is decided and its logits are frozen, unless the
            budget could then no longer be met. None leaves all choices open.
        identity: Mapping of inputs that a callback cannot see, for example the data of `fit` and the seed of their
            order: `{"x": x_train, "y": y_train, "seed": 0}`. Only a search with the same identity resumes a backup.
            Arrays are compared by a digest, and must be finite. Data that are not given are not compared.
        steps: With `selection="scheduled"`, the number of training steps of the whole search. By default, those that
            `fit` announces: the epochs times their steps. Give it for data without length, or for a search that takes
            several calls of `fit`.

    Logs, at the end of each epoch: `expected_cost` and `discrete_cost` (of the searched layers, normalized),
    `cost_gap` (their difference), `multiplier`, `selection_entropy` (mean over the selectors, 1 is undecided),
    `mixture_variance` (mean over the tensors, see `tfmp.relaxation.relative_variance`). With several budgets the first
    four are logged for each cost, `expected_cost/bitops`, and so is the `cost` of every step. With `freeze_above`
    or `selection="scheduled"`, `decided` is the number of decided choices. The progress bar shows `cost`,
    `selection_entropy` and `decided`.

    Attributes:
        penalties: One `tfmp.search.lagrangian.Penalty` per budget, or the one of `eta`; empty before `set_model`.
        multiplier: The multiplier, or a list with one per budget.

    Warns:
        UserWarning: At the end of a training of 50 steps or more, if the entropy exceeds 0.15 or the expected cost
            exceeds its budget by more than 2 %.

    Raises:
        ValueError: If not exactly one of `budget` and `eta` is given, or an argument of the other; before training, if
            the number of steps is needed and unknown, the budget cannot be met, the cost has no positive normalizer,
            the backup belongs to another search, or weights or data are not finite; during training, if the loss or a
            variable is NaN or infinite. Such a state is never saved.
    """

    # A class of a framework adds `named_variables()`, `start_variables()`, `backup_variables()`, `resume_at(epoch)`,
    # `hold_logits(are_held)`, `selection_step()`, `input_quantizer_path(layer)`, and of an optimizer
    # `is_scheduled(optimizer)` and `set_selection_rate(optimizer, rate)`.

    def __init__(
        self,
        budget: Budget | Sequence[Budget] | None = None,
        *,
        eta: float | None = None,
        cost: CostLike | None = None,
        multiplier: Multiplier | None = None,
        temperature: tuple[float, float] = (1.0, 0.1),
        backup_dir: str | os.PathLike[str] | None = None,
        selection_data: Any = None,
        freeze_above: float | None = None,
        identity: Any = None,
        steps: int | None = None,
    ):
        super().__init__()
        options: dict[str, Any] = {"multiplier": multiplier, "temperature": temperature, "freeze_above": freeze_above}
        self._search = BitSearch(budget, eta=eta, cost=cost, **options)
        self._backup, self._run_identity = SearchBackup.of(backup_dir), None
        self._alternation = None if selection_data is None else Alternation(selection_data)
        self.prepared_model = None
        if identity is not None:
            check_instance("identity", identity, Mapping, "a mapping", hint="Give {'x': x_train, 'y': y_train}")
        self.identity = identity or {}
        self._has_seen_data, self._epoch = False, 0
        self.steps = None if steps is None else check_integer("steps", steps, at_least=1)
        self._is_announced, self._trained_steps, self._steps_in_epoch = True, 0, 0

    def prepare(self, graph: Graph, layers: Mapping[str, KerasLayer]) -> None:
        """Sets the model to search, given its `Graph` and its layers by name."""
        self._search.prepare(graph, layers)
        self._trained_steps = 0

    def schedule(self, optimizer: Any, steps: int) -> None:
        """Lets the rates of the logits and the multipliers follow from the number of steps; `fit` does it by itself.

        Call it in your own training loop, once after `set_model`.

        Args:
            optimizer: A `SelectionOptimizer` with `selection="scheduled"`.
            steps: Number of all training steps.

        Raises:
            ValueError: If the optimizer is another one.
        """
        if not self.is_scheduled(optimizer):
            raise ValueError(
                '`optimizer` must be a `SelectionOptimizer` with `selection="scheduled"`, its default. Received: '
                f"{type(optimizer).__name__}"
            )
        self._search.use_schedule(True)
        self._announce(optimizer, check_integer("steps", steps, at_least=1))

    def _announce(self, optimizer, steps):
        """Sets the number of training steps of the search, and the rate of the logits that follows."""
        self._search.schedule.announce(steps)
        every = 1 if self._alternation is None else self._alternation.data.every
        self.set_selection_rate(optimizer, self._search.schedule.learning_rate(every))

    @property
    def budget(self) -> Any:
        return self._search.budget

    @property
    def penalties(self) -> Any:
        return self._search.penalties

    @property
    def multiplier(self) -> Multiplier | list[Multiplier]:
        multipliers = self._search.multipliers
        return multipliers if self._search.has_several_budgets else multipliers[0]

    def step(self) -> Any:
        """Updates the multipliers, the prices of the layers, and the logits that are decided or scheduled.

        Call it once after every training step.

        Returns:
            The expected cost, normalized as in the loss; with several budgets the largest of them.
        """
        return max(self._search.step().values())

    def probabilities(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Returns the weight and activation probabilities by layer name, as arrays."""
        return self._search.probabilities()

    def set_temperature(self, epoch: int, epochs: int) -> None:
        """Writes the temperature of an epoch, counted from 0, into the selectors that have one."""
        self._search.set_temperature(epoch, epochs)

    def summary(self) -> dict[str, float]:
        """Returns the figures for the logs of an epoch."""
        return self._search.summary()

    def logits(self) -> list[Any]:
        """The logits; those of coupled tensors once."""
        return self._search.logits()

    def state(self) -> dict[str, Any]:
        """Returns the state of the search without variables, as JSON, to resume it in your own training loop."""
        return self._search.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restores a state, after the variables of the model and, if the search is scheduled, after `schedule`."""
        self._search.restore(state)

    def load_backup(self) -> int | None:
        """Restores the state after the last complete epoch; returns their number, None without a backup."""
        if self._backup is None:
            return None
        variables = self.backup_variables()
        self._run_identity = self._identity()
        loaded = self._backup.load(
            [variable.shape for variable in variables],
            identity=self._run_identity,
            epochs=(self.params or {}).get("epochs"),
            others=() if self.params else _OF_FIT,
            upgrade=with_quantizer_options,
        )
        if loaded is None:
            self._run_identity = self._identity()  # as it is now, not as a removed backup started
            return None
        epoch, values, state = loaded
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.restore(state)
        if self._alternation is not None:
            self._alternation.training_steps = state["training_steps"]
        self._trained_steps = state.get("trained_steps", 0)
        return epoch

    def _state(self):
        """Returns the contents of a backup without variables, as JSON."""
        steps = None if self._alternation is None else self._alternation.training_steps
        return {**self.state(), "training_steps": steps, "trained_steps": self._trained_steps}

    def _identity(self):
        """Returns what must be equal in a backup and the search that resumes it."""
        data = None if self._alternation is None else self._alternation.data
        return search_identity(self, self._search, data, self._backup)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._check_data()
        self._search.use_schedule(self.is_scheduled(self.model.optimizer))
        self._is_announced = self._search.schedule is None
        if not self._is_announced and self.steps is None and not self._has_known_length():
            raise ValueError(
                "The rates of the search follow from its number of steps, but the data of `fit` have no known length. "
                "Give `steps_per_epoch=` to `fit`, or `steps=` to `MixedPrecisionSearch`: the steps of all epochs."
            )
        epoch = self.load_backup()
        wrong = next(names_not_finite(self.named_variables()), None)
        if wrong is not None:
            raise NotFiniteError(
                f"The search would start from NaN or infinite values, in the variable `{wrong}`. Build a new model, or "
                "load finite weights."
            )
        if epoch is not None:
            self.resume_at(epoch)
        self.hold_logits(self._alternation is not None)
        if self._alternation is not None:
            self._alternation.begin(self.selection_step)

    def _has_known_length(self):
        steps = self.params.get("steps")
        return steps is not None and 0 < steps < math.inf

    def _announce_fit(self, epoch):
        """Announces the steps of `fit` at its first epoch; a search that is complete stays so."""
        self._is_announced = True
        schedule = self._search.schedule
        if self.steps is not None:
            self._announce(self.model.optimizer, self.steps)
        elif not schedule.is_complete:
            steps = (self.params["epochs"] - epoch) * self.params["steps"]
            self._announce(self.model.optimizer, schedule.done + steps)

    def _check_data(self):
        """Raises `ValueError` if data given as `identity` are not finite."""
        for name, value in self.identity.items():
            for array in value if isinstance(value, list | tuple) else (value,):
                if is_array(array):
                    check_finite(f"identity[{name!r}]", array)
                    self._has_seen_data = True

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch, self._steps_in_epoch = epoch, 0
        if not self._is_announced:
            self._announce_fit(epoch)
        self.set_temperature(epoch, self.params.get("epochs", 1))
        if self._alternation is not None:
            self._alternation.begin_epoch()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = 0.0 if logs is None else float(logs.get("loss", 0.0))
        if not math.isfinite(loss):
            self._end(f"The loss is {loss} in batch {batch + 1} of epoch {self._epoch + 1}.")
        if self._alternation is not None:
            try:
                self._alternation.after_batch(batch)
            except ValueError:
                self._release()
                raise
        # If `fit` runs several steps at once, it only reports the last one.
        steps, self._steps_in_epoch = batch + 1 - self._steps_in_epoch, batch + 1
        self._trained_steps += steps
        costs = self._search.step(steps)
        if not all(map(math.isfinite, costs.values())):
            self._end(f"The logits are not finite after batch {batch + 1} of epoch {self._epoch + 1}.")
        if logs is not None:
            logs.update(self._search.figures)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        wrong = next(names_not_finite(self.named_variables()), None)
        if wrong is not None:
            self._end(f"A variable is not finite at the end of epoch {epoch + 1}.")
        if logs is not None:
            logs.update(self.summary())
        if self._backup is not None:
            variables = [np.asarray(variable.numpy()) for variable in self.backup_variables()]
            identity = self._run_identity or self._identity()
            self._backup.save(epoch + 1, variables, identity=identity, state=self._state())

    def _end(self, problem):
        """Raises the error that ends a training whose state is not finite; the state is not saved."""
        self._release()
        wrong = list(names_not_finite(self.named_variables()))
        where = f" The first variable that holds NaN or infinite values is `{wrong[0]}`." if wrong else ""
        saved = self._backup.epochs() if self._backup is not None else []
        kept = f" The backup has the state of {saved[0]}, from which a search can resume." if saved else ""
        raise NotFiniteError(f"{problem}{where} {self._cause(wrong)}{kept}")

    def _cause(self, wrong):
        """Returns the probable cause of NaN or infinite values in the named variables."""
        graph = self.penalties[0].priced.graph
        first_layers = (call.layer for call in graph.calls if {*call.inputs} & {*graph.input_names})
        of_inputs = tuple(map(self.input_quantizer_path, first_layers))
        seen = next((name for name in wrong if name.startswith(of_inputs)), None)
        if seen is not None:  # a statistic that only depends on the inputs
            return f"The inputs of the model hold such values, as `{seen}` shows: remove them from the data."
        diverged = "the training diverged: lower the learning rate, or clip gradients"
        if self._has_seen_data:
            return f"The data given as `identity` are finite, so {diverged}."
        return (
            "Check the data of `fit` first, which a callback cannot see: `np.isfinite(x).all()`, and y; or give them "
            f"as `identity={{'x': x, 'y': y}}`. If they are finite, {diverged}."
        )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._release()
        schedule = self._search.schedule
        goes_on = schedule is not None and self.steps is not None and not schedule.is_complete
        if self._trained_steps >= _FEWEST_STEPS and not goes_on:
            self._search.warn_if_undecided(way_out=_WAY_OUT)

    def _release(self):
        """Ends the training: the logits learn again, and other processes can use the backup."""
        self.hold_logits(False)
        if self._backup is not None:
            self.resume_at(None)  # the next `fit` starts at its own `initial_epoch`
            self._backup.release()
