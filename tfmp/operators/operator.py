"""What the library knows of a kind of layer."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.checks import check_choice, check_instance, check_text
from tfmp.graph import Call, Grid, Layer
from tfmp.operators.affine_map import AffineMap
from tfmp.operators.kernel import Kernel

MOVES = "moves"
NUMBERS = "numbers"
STORED = "stored"
QUANTIZES = "quantizes"
OTHER = "other"  # the kind of what no operator is

Attributes = dict[str, Any]
Reader = Callable[[Mapping[str, Any], Call | None], Attributes | None]
Clip = tuple[float, float]


def always(layer: Layer, inputs: bool) -> bool:
    """Never negative."""
    return True


def never(layer: Layer, inputs: bool) -> bool:
    """Nothing is known of its sign."""
    return False


def as_inputs(layer: Layer, inputs: bool) -> bool:
    """Non-negative if all inputs are."""
    return inputs


def given(**attributes: Any) -> Reader:
    """Returns a reader of classes and operations whose attributes are always these."""
    return lambda config, call: dict(attributes)


def unclipped(layer: Layer) -> Clip:
    """Clips nothing."""
    return -math.inf, math.inf


def no_axes(layer: Layer) -> tuple[int, ...]:
    """Computes the same along every axis."""
    return ()


@dataclasses.dataclass(frozen=True)
class Operator:
    """A kind of layer: how Keras calls it, what it computes, and how it becomes integer operations.

    Everything that the library asks about a kind is a field here; nothing else names the kind. All but `kind` have a
    default.

    Args:
        kind: Its name, as `tfmp.graph.Layer.kind` has it.
        lower: Function of (lowering, call, codes) that adds the operations which make the call's output with these
            codes, and returns the name of their tensor; see `tfmp.lowering.lowering.Lowering`. None for a kind without
            an integer form.

    What Keras calls it:
        classes: Class of a layer or of an operation to the reader of its attributes: a function of (configuration,
            first `Call` or None) that returns them, or None for arguments that make it something else. Classes of
            either Keras, their operations and TensorFlow's functions go by their names (`"ReLU"`, `"nn.relu"`), a class
            of your own by itself. A kind with a kernel has its searchable class first.
        functions: Name of an activation function of Keras to its attributes.
        tf_keras_functions: The same for names that mean something else in tf_keras.
        forms: Class name to which of its forms has an integer form, the end of "Write one ...".
        order_free: True if it can be read with the channels first, too.

    What its values are:
        reads: `"moves"`: it moves or clips codes, its inputs take the codes that the reader of its output wants;
            `"stored"`: its inputs lie on grids of their own; `"quantizes"`: the layer quantizes its input itself;
            `"numbers"`: it reads numbers, not codes.
        joins: True if its output is made of several inputs, which may lie on several grids.
        grid: The one grid that the runtime writes its output on; None if it writes any.
        non_negative: Function of (layer, whether all inputs are non-negative): whether the output is.
        each_value: True if it computes each value from the one at its place, as softmax does but for the sum; of what
            moves values, only if it clips.
        numbers: Function of (lowering, call) that returns the name of a tensor that holds the call's output as numbers;
            None for kinds that make codes.
        check: Function of a layer that raises `FoldError` if no integer operation computes it; None if all have one.

    What it is made of:
        kernel: How its kernel lies in memory; None without one.
        arrays: Name of every other array that lowering reads, `[channels]`, to a value that leaves the input as it is.
        affine_map: Function of a layer that returns the `AffineMap` it computes; None for other kinds.
        axes: Function of a layer: the axes along which its affine map differs.
        clip: Function of a layer: smallest and largest value of its output, of a kind that clips an affine map or its
            input and does nothing else; None if it does, or clips nothing.
        pairwise: True if one call with many inputs is the same as many calls with two.
        parts: The kinds of layers that one is split into before all else, in their order.

    What others ask:
        values: Function of (float64 inputs, attributes, shape of the output) that computes it in NumPy, batch first and
            channels last: the meaning of its name, by which layers of users are checked. A kind with `values` can be
            registered for layers with `tfmp.register_layer`.
        needed: The attributes that such a registration must give.
        channels: How the channels of its output follow from those of its input: a rule of
            `tfmp.width.channel_flow.ChannelFlow`. Without one they are followed as long as no size changes.
        keeps_values: True if its output holds the values of its input, in their order: it costs an accelerator nothing.

    Raises:
        TypeError, ValueError: If the kind or a field is none of these.

    Example:
        >>> tfmp.operators.register(tfmp.operators.Operator("halved", lower_halved, classes={Halved: given()}))
    """

    kind: str
    lower: Callable[..., str] | None = None
    _: dataclasses.KW_ONLY
    classes: Mapping[str | type, Reader] = dataclasses.field(default_factory=dict)
    functions: Mapping[str, Attributes] = dataclasses.field(default_factory=dict)
    tf_keras_functions: Mapping[str, Attributes] = dataclasses.field(default_factory=dict)
    forms: Mapping[str, str] = dataclasses.field(default_factory=dict)
    order_free: bool = False
    reads: str = STORED
    joins: bool = False
    grid: Grid | None = None
    non_negative: Callable[[Layer, bool], bool] = never
    each_value: bool = False
    numbers: Callable[..., str] | None = None
    check: Callable[[Layer], None] | None = None
    kernel: Kernel | None = None
    arrays: Mapping[str, float] = dataclasses.field(default_factory=dict)
    affine_map: Callable[[Layer], AffineMap] | None = None
    axes: Callable[[Layer], tuple[int, ...]] = no_axes
    clip: Callable[[Layer], Clip] | None = None
    pairwise: bool = False
    parts: tuple[str, ...] = ()
    values: Callable[[Sequence[np.ndarray], Mapping[str, Any], tuple[int, ...]], np.ndarray] | None = None
    needed: tuple[str, ...] = ()
    channels: str = ""
    keeps_values: bool = False

    def __post_init__(self) -> None:
        check_text("kind", self.kind)
        where = f"Operator `{self.kind}`"
        check_choice("reads", self.reads, (MOVES, STORED, QUANTIZES, NUMBERS), where=where)
        for name in ("classes", "functions", "tf_keras_functions", "forms", "arrays"):
            check_instance(name, getattr(self, name), Mapping, "a mapping", where=where)
        for name in ("lower", "numbers", "check", "affine_map", "clip", "values"):
            function = getattr(self, name)
            if function is not None and not callable(function):
                raise TypeError(f"{where}: `{name}` must be a function, or None. Received: {function!r}")
        if self.kind == OTHER:
            raise ValueError(f"`kind` must not be {OTHER!r}, which stands for all layers that no operator is.")

    @property
    def is_activation(self) -> bool:
        """True for activation functions but the one that changes nothing."""
        return self.reads != QUANTIZES and self.each_value and (self.affine_map is None or bool(self.functions))
