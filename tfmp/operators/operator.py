"""The record of a kind of layer."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.checks import check_choice, check_instance, check_text
from tfmp.graph import Call, Graph, Grid, Layer
from tfmp.operators.affine_map import AffineMap
from tfmp.operators.composites.part import Part
from tfmp.operators.kernel import Kernel

MOVES = "moves"
NUMBERS = "numbers"
STORED = "stored"
QUANTIZES = "quantizes"
OTHER = "other"  # the kind of layers without an operator

Attributes = dict[str, Any]
Reader = Callable[[Mapping[str, Any], Call | None], Attributes | None]
Clip = tuple[float, float]
Parts = Callable[[Graph, Layer, Call], Sequence[Part] | None]


def always(layer: Layer, inputs: bool) -> bool:
    """Returns True: the output is never negative."""
    return True


def never(layer: Layer, inputs: bool) -> bool:
    """Returns False: the output can be negative."""
    return False


def as_inputs(layer: Layer, inputs: bool) -> bool:
    """Returns True if all inputs are non-negative."""
    return inputs


def given(**attributes: Any) -> Reader:
    """Returns a reader that always returns these attributes."""
    return lambda config, call: dict(attributes)


def unclipped(layer: Layer) -> Clip:
    """Returns infinite bounds: the layer does not clip."""
    return -math.inf, math.inf


def no_axes(layer: Layer) -> tuple[int, ...]:
    """Returns no axes: the map is the same along every axis."""
    return ()


@dataclasses.dataclass(frozen=True)
class Operator:
    """A kind of layer: its names in Keras, what it computes, and how it is lowered to integer operations.

    Everything that the library needs to know about a kind is a field of this record, and no other code names the kind.
    All fields except `kind` have a default.

    Args:
        kind: Its name, as `tfmp.graph.Layer.kind` has it.
        lower: Function of (lowering, call, codes) that adds the operations which compute the call's output with these
            codes, and returns the name of the output tensor; see `tfmp.lowering.lowering.Lowering`. None for a kind
            without an integer form.

    Names in Keras:
        classes: Maps classes of layers and operations to the reader of their attributes: a function of (configuration,
            first `Call` or None) that returns the attributes, or None if the arguments make it another kind. The keys
            are names (`"ReLU"`, `"nn.relu"`) for classes of either Keras, their operations and TensorFlow's functions,
            and the class itself for your own. A kind with a kernel has its searchable class first.
        functions: Maps names of activation functions of Keras to their attributes.
        tf_keras_functions: The same for names that mean another function in tf_keras.
        forms: Maps class names to the condition under which the class has an integer form, the end of "Write one ...".
        instead_of: Maps names of layers and operations without an integer form to the class of this kind that may
            compute the same, which `tfmp.inspect` then advises.
        order_free: True if it has an integer form with the channels first, too.

    Values:
        reads: What it reads. `"moves"`: it moves or clips codes, so its inputs get the codes that the reader of its
            output needs; `"stored"`: each input is stored on its own grid; `"quantizes"`: the layer quantizes its
            input itself; `"numbers"`: it reads numbers, not codes.
        joins: True if its output combines several inputs, which may have several grids.
        grid: The output grid that the runtime prescribes; None if it writes any.
        non_negative: Function of (layer, whether all inputs are non-negative) that returns whether the output is.
        each_value: True if each output value depends only on the input value at the same position (softmax counts, in
            spite of its sum). A kind that moves values must also clip.
        numbers: Function of (lowering, call) that returns the name of a tensor with the call's output as numbers, or
            the names for several outputs; None for kinds whose output is codes.
        check: Function of a layer that raises `FoldError` if no integer operation computes it; None if all layers of
            the kind have one.

    Arrays and structure:
        kernel: The memory layout of its kernel; None without a kernel.
        arrays: Maps the name of every other array that lowering reads, `[channels]`, to its neutral value.
        affine_map: Function of a layer that returns the `AffineMap` it computes; None for other kinds.
        axes: Function of a layer that returns the axes along which its affine map differs.
        clip: Function of a layer that returns the smallest and largest value of its output, for kinds that only clip
            their input or an affine map; None for other kinds.
        pairwise: True if one call with many inputs equals several calls with two.
        parts: Function of (graph, layer, call) that returns the layers into which a composite layer is split, or None
            if it can only stay as it is; None for other kinds.

    Used by checks, width and simulator:
        values: Function of (float64 inputs, attributes, shape of the output) that computes it in NumPy, batch first and
            channels last. This defines the kind; registered layers are compared with it. A kind with `values` can be
            registered for layers with `tfmp.register_layer`.
        needed: The attributes that such a registration must give.
        channels: How the output channels follow from the input channels: a rule of
            `tfmp.width.channel_flow.ChannelFlow`. Without one they are followed if no size changes.
        keeps_values: True if the output has the values of the input in the same order, so that it costs an accelerator
            nothing.

    Raises:
        TypeError: If a field has the wrong type.
        ValueError: If `kind` is reserved, or a field has a value that is not allowed.

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
    instead_of: Mapping[str, str] = dataclasses.field(default_factory=dict)
    order_free: bool = False
    reads: str = STORED
    joins: bool = False
    grid: Grid | None = None
    non_negative: Callable[[Layer, bool], bool] = never
    each_value: bool = False
    numbers: Callable[..., str | tuple[str, ...]] | None = None
    check: Callable[[Layer], None] | None = None
    kernel: Kernel | None = None
    arrays: Mapping[str, float] = dataclasses.field(default_factory=dict)
    affine_map: Callable[[Layer], AffineMap] | None = None
    axes: Callable[[Layer], tuple[int, ...]] = no_axes
    clip: Callable[[Layer], Clip] | None = None
    pairwise: bool = False
    parts: Parts | None = None
    values: Callable[[Sequence[np.ndarray], Mapping[str, Any], tuple[int, ...]], np.ndarray] | None = None
    needed: tuple[str, ...] = ()
    channels: str = ""
    keeps_values: bool = False

    def __post_init__(self) -> None:
        check_text("kind", self.kind)
        where = f"Operator `{self.kind}`"
        check_choice("reads", self.reads, (MOVES, STORED, QUANTIZES, NUMBERS), where=where)
        for name in ("classes", "functions", "tf_keras_functions", "forms", "instead_of", "arrays"):
            check_instance(name, getattr(self, name), Mapping, "a mapping", where=where)
        for name in ("lower", "numbers", "check", "affine_map", "clip", "parts", "values"):
            function = getattr(self, name)
            if function is not None and not callable(function):
                raise TypeError(f"{where}: `{name}` must be a function, or None. Received: {function!r}")
        if self.kind == OTHER:
            raise ValueError(f"`kind` must not be {OTHER!r}, the kind of layers without an operator.")

    @property
    def is_activation(self) -> bool:
        """True for activation functions, except the identity."""
        return self.reads != QUANTIZES and self.each_value and (self.affine_map is None or bool(self.functions))
