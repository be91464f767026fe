"""`HyperModel` of width against precision."""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_instance, check_integer, check_integers, check_numbers
from tfmp.costs import ModelSize
from tfmp.graph.graph_identity import graph_identity
from tfmp.search.budget import Budget
from tfmp.transform.edits.layer_plan import SEARCHED, plan
from tfmp.tuner.mixed_precision_hyper_model import MixedPrecisionHyperModel
from tfmp.tuner.strategies import register_strategy
from tfmp.tuner.training import Training
from tfmp.width.dual_precision_model import dual_precision, is_depthwise
from tfmp.width.width_for_size import Width, kernel_bits, width_for_size

STRATEGY = "dual_precision"


class DualPrecisionHyperModel(MixedPrecisionHyperModel):
    """A network of any width, and the precisions and sizes to try.

    A trial builds the network at the width at which its kernels have the size, and trains it from scratch for
    `search_epochs + finetune_epochs` of the training.

    Args:
        build: Function of a width multiplier that returns a Keras model in floating point.
        training: A `Training`.
        weight_bits: Precisions of the convolutions and dense layers, integers from 1 to 8.
        depthwise_bits: Precisions of the depthwise convolutions; None for the same. A network without depthwise
            convolutions has only `weight_bits`.
        activation_bits: Integer from 1 to 8, of every layer's input.
        sizes: Sizes, each given as the width at which the network has this size at 8 bits.
        choices: `learning_rate` (1e-3), a number or a list of numbers to choose from; and `tolerance` (0.02), the
            largest relative error of a size.
        seed: Integer for initial weights, order and noise, the same in every trial.

    Raises:
        TypeError: If `build` is not a function, or a choice is unknown.
        ValueError: If there is no precision or size, or no layer whose precision can be chosen.
    """

    starts_from_float = False
    size = ModelSize(kernels_only=True)  # the quantity that all networks have in common

    def __init__(
        self,
        build: Callable[[float], KerasModel],
        *,
        training: Training,
        weight_bits: Sequence[int] = (1, 2, 4, 8),
        depthwise_bits: Sequence[int] | None = None,
        activation_bits: int = 8,
        sizes: Sequence[float] = (0.25,),
        choices: Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        keras_tuner.HyperModel.__init__(self, name=STRATEGY)
        if not callable(build) or hasattr(build, "get_weights"):
            raise TypeError(
                "`build` must be a function of a width multiplier; for an existing model give "
                f"`lambda width: tfmp.width.scale_width(model, width)`. Received: {build!r}"
            )
        self.training = check_instance("training", training, Training, "a `tfmp.tuner.Training`")
        self.seed, self._build = check_integer("seed", seed, at_least=0), build
        choices = check_instance("choices", {} if choices is None else choices, Mapping, "a mapping of names to values")
        self._choices = {"learning_rate": 1e-3, "tolerance": 0.02, **choices}
        if len(self._choices) > 2:
            raise TypeError(f"`choices` can be learning_rate and tolerance. Received: {', '.join(choices)}")
        self._activation_bits = check_integer("activation_bits", activation_bits, at_least=1, at_most=8)
        weight_bits = check_integers("weight_bits", weight_bits, at_least=1, at_most=8)
        if depthwise_bits is not None:
            depthwise_bits = check_integers("depthwise_bits", depthwise_bits, at_least=1, at_most=8)
        self._options: dict[str, list[Any]] = {
            "weight_bits": list(weight_bits),
            "size_of": list(check_numbers("sizes", sizes, above=0)),
        }
        first = build(sizes[0])
        self.framework, self._num_weights = framework_of(first), first.count_params()
        training.check(self.framework.package)
        self.float_graph = framework_of(first).read(first, weights=False)
        layers, plans = self.float_graph.in_order(), plan(self.float_graph)
        searched = [layer for layer in layers if layer.shape and plans[layer.name].status == SEARCHED]
        if not searched:
            raise ValueError(f"Model `{first.name}` has no layer whose precision can be chosen; see `tfmp.inspect`.")
        if any(is_depthwise(layer.require_shape()) for layer in searched):
            self._options["depthwise_bits"] = list(weight_bits if depthwise_bits is None else depthwise_bits)
        for name, options in self._options.items():
            if not options or len(set(options)) < len(options):
                raise ValueError(f"Expected one or more different {name}. Received: {options}")
        self.target_bits, self._width_of = functools.cache(self._target_bits), functools.cache(self._find_width)

    @property
    def has_depthwise(self) -> bool:
        """Whether the network has depthwise convolutions, and so a second precision."""
        return "depthwise_bits" in self._options

    def of(self, weight_bits: int, depthwise_bits: int | None, sizes: Sequence[float]) -> "DualPrecisionHyperModel":
        """Returns the hypermodel of one pair of precisions at some sizes, with the same other settings."""
        return DualPrecisionHyperModel(
            self._build,
            training=self.training,
            weight_bits=(weight_bits,),
            depthwise_bits=None if depthwise_bits is None else (depthwise_bits,),
            activation_bits=self._activation_bits,
            sizes=sizes,
            choices=self._choices,
            seed=self.seed,
        )

    def declare(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Registers the hyperparameters and returns their values, with the size as `"budget"`."""
        values = {"strategy": STRATEGY, "width": 1.0, "depthwise_bits": None, **self._choices}
        for name, options in self._options.items():
            values[name] = hp.Choice(name, options)
        if isinstance(values["learning_rate"], list):
            values["learning_rate"] = hp.Choice("learning_rate", values["learning_rate"])
        values["budget"] = Budget(self.size, limit=self.target_bits(values["size_of"]))
        return values

    def network(self, values: Mapping[str, Any]) -> tuple[KerasModel, Width]:
        """Returns the untrained network of a trial and its `tfmp.width.Width`."""
        bits = {name: values[name] for name in ("weight_bits", "depthwise_bits")}
        width = self._width(values)
        self.framework.package.utils.set_random_seed(self.seed)  # after models were built to find the width
        return dual_precision(self._build(width.width), **bits, activation_bits=self._activation_bits), width

    def find_widths(self) -> None:
        """Finds the widths of all combinations before the trials.

        Raises:
            ValueError: If a precision has no width for a size; the message has the nearest sizes.
        """
        for values in itertools.product(*self._options.values()):
            self._width({"depthwise_bits": None, **dict(zip(self._options, values, strict=True))})

    def build(self, hp: keras_tuner.HyperParameters) -> KerasModel:
        """Returns the untrained network of some hyperparameters."""
        return self.network(self.declare(hp))[0]

    @property
    def space_size(self) -> int:
        """The number of combinations of hyperparameters."""
        rates = self._choices["learning_rate"]
        lists = [*self._options.values(), *([rates] if isinstance(rates, list) else [])]
        return math.prod(map(len, lists))

    def structure(self, values: Mapping[str, Any]) -> str:
        """Text of the precisions of a trial."""
        return f"W{values['weight_bits']}D{values['depthwise_bits']}"

    def limit(self, values: Mapping[str, Any]) -> float:
        """The size of a trial's network, in bits."""
        return self.target_bits(values["size_of"])

    def set_budgets(self, budgets: Any) -> None:
        raise ValueError("A DualPrecisionHyperModel has sizes instead of budgets: omit `minimize`.")

    def identity(self) -> dict[str, Any]:
        """JSON that is equal for equal hypermodels."""
        return {
            "model": graph_identity(self.float_graph),
            "space": {**self._options, **self._choices, "activation_bits": self._activation_bits},
            "training": self.training.identity(self.framework.package),
            "seed": self.seed,
        }

    def _target_bits(self, size_of):
        return kernel_bits(self._build(size_of), 8)

    def _width(self, values):
        return self._width_of(values["weight_bits"], values["depthwise_bits"], values["size_of"])

    def _find_width(self, weight_bits, depthwise_bits, size_of):
        bits, target = {"weight_bits": weight_bits, "depthwise_bits": depthwise_bits}, self.target_bits(size_of)
        size = kernel_bits(self._build(size_of), **bits)
        if size == target:
            return Width(size_of, size, target)
        try:
            return width_for_size(self._build, target, **bits, tolerance=self._choices["tolerance"])
        except ValueError as error:
            depthwise = "" if depthwise_bits is None else f" and {depthwise_bits} in depthwise convolutions"
            raise ValueError(f"{weight_bits} bits{depthwise}, at the size of width {size_of:g}: {error}") from error


def _train_at_size(run):
    model, width = run.hypermodel.network(run.values)
    run.measured["width"] = width.width
    run.train(model, run.epochs)
    return model, None


register_strategy(STRATEGY, _train_at_size)
