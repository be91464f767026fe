"""Base class of all quantizers, and a quantizer's name with its options."""

import abc
import ast
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import tensorflow as tf
from numpy.typing import ArrayLike

from tfmp import ops
from tfmp.annotations import Tensor
from tfmp.checks import check_flag, check_integer
from tfmp.graph import CodeFormat


def options_of(quantizer: Any) -> dict[str, Any]:
    """Returns the arguments of an instance that differ from the defaults of its class, without bits and sign."""
    fields = [field for field in dataclasses.fields(quantizer) if field.init and field.name not in ("bits", "signed")]
    values = {field.name: getattr(quantizer, field.name) for field in fields}
    return {field.name: values[field.name] for field in fields if values[field.name] != field.default}


def written_name(name: str, options: Mapping[str, Any]) -> str:
    """Returns the text of a name and options.

    Raises:
        ValueError: If an option is no number, text, or tuple of these, which the text could hold.
    """
    for key, value in options.items():
        if not _is_literal(value):
            raise ValueError(
                f"`{key}` of quantizer `{name}` must be a number, a text or a tuple of these, since models are saved "
                f"with it. Received: {value!r}. Make it a class attribute of a subclass with its own name."
            )
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in sorted(options.items()))})" if options else name


def read_name(text: str) -> tuple[str, dict[str, Any]]:
    """Returns name and options of a text; the text and no options where it is no such text."""
    try:
        call = ast.parse(text, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args and call.keywords:
            return call.func.id, {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError):
        pass
    return text, {}


def _is_literal(value):
    try:
        return ast.literal_eval(repr(value)) == value
    except (SyntaxError, ValueError):
        return False


MAX_BITS = 8


@dataclasses.dataclass(frozen=True)
class Quantizer(abc.ABC):
    """Base class of quantizers: rounds a tensor to the levels of a number of bits.

    A quantizer is a value: two with equal arguments are interchangeable. What it learns or observes is in a state. The
    owner creates the state with `build` and passes it at every call, so a quantizer works with any layer of any
    framework. Quantizers of one family that differ only in `bits` can share a state: the state determines the range,
    the bits the number of levels in it.

    A quantizer of your own is a frozen data class with a `name` and a `grid`; `tfmp.quantizers.register` it, or give
    the class wherever a name is taken.

    Args:
        bits: Integer from `min_bits` to 8, sign included.
        signed: False for tensors that cannot be negative.

    Attributes:
        name: The name in the registry.
        activation_name: Name of the quantizer of the activations where this one is named for both; None: this one.
        min_bits: The fewest bits that it has levels for.
        takes_signed_input: False if it cannot represent an activation that can be negative.
        range_of_every_batch: True if an activation gets another range in every batch, where a file has one.
        range_of_tensor: True if the range of an activation follows from the tensor alone, so that all layers that read
            it with equal bits have one range.
        is_stored: True if it leaves an activation as another layer quantized it.
        legacy_options: Options that version 0.1.0 did not have, with the values of its behaviour. Configurations saved
            by later versions always name them, see `tfmp.quantizers.saved_name`.

    Raises:
        ValueError: If `bits` is out of range.
    """

    bits: int
    signed: bool = True

    name: ClassVar[str]
    activation_name: ClassVar[str | None] = None
    min_bits: ClassVar[int] = 1
    takes_signed_input: ClassVar[bool] = True
    range_of_every_batch: ClassVar[bool] = False
    range_of_tensor: ClassVar[bool] = False
    is_stored: ClassVar[bool] = False
    legacy_options: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        where = f"Quantizer `{self.name}`"
        check_integer("bits", self.bits, at_least=self.min_bits, at_most=MAX_BITS, where=where)
        check_flag("signed", self.signed, where=where)

    @property
    def full_name(self) -> str:
        """The name, with the arguments that are not the defaults: `"moving_range(momentum=0.9)"`."""
        return written_name(self.name, options_of(self))

    @property
    def low(self) -> int:
        """Smallest integer k of the levels `(k + offset) * step`."""
        return -(2 ** (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest k."""
        return 2 ** (self.bits - 1) - 1 if self.signed else 2**self.bits - 1

    @property
    def offset(self) -> float:
        """0 if zero is a level, 1/2 for levels around zero."""
        return 0.0

    @property
    def format(self) -> CodeFormat:
        """Range of the integers that `codes` returns; if `offset` is 1/2, they are odd and the scale is half a step."""
        if self.offset:
            return CodeFormat(self.bits, 2 * self.low + 1, 2 * self.high + 1)
        return CodeFormat(self.bits, self.low, self.high)

    def build(
        self,
        add_weight: Callable[..., Any],
        *,
        channel_axes: Sequence[int] | None = None,
        shape: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """Creates the state.

        Args:
            add_weight: Function of `name`, `shape`, `initializer` and `trainable` that returns a variable.
            channel_axes: Negative axes of the output channels of a kernel, None for an activation.
            shape: The shape of a kernel, None for an activation.

        Returns:
            Variables by name; empty for quantizers without state.
        """
        return {}

    def initial_state(self, values: ArrayLike, *, channel_axes: Sequence[int] | None = None) -> dict[str, Any]:
        """Returns initial values of the state for the given data: a kernel, or a sample of the activations.

        Args:
            values: The data.
            channel_axes: As in `build`.
        """
        return {}

    def fitted_state(self, values: ArrayLike, *, channel_axes: Sequence[int] | None = None) -> dict[str, Any]:
        """Returns values of a state that several bits share, for this quantizer as the widest."""
        return self.initial_state(values, channel_axes=channel_axes)

    def least_squares_state(self, values: ArrayLike, *, channel_axes: Sequence[int] | None = None) -> dict[str, Any]:
        """Returns values of the state with the least squared error on the given data, for use without training."""
        return self.initial_state(values, channel_axes=channel_axes)

    def convert_state(self, state: Mapping[str, Any], widest: Self) -> dict[str, Any]:
        """Returns values of a separate state, converted from a state shared with the quantizer `widest`."""
        return dict(state)

    def observe(self, x: tf.Tensor, state: Mapping[str, Any]) -> None:  # noqa: B027 (most quantizers observe nothing)
        """Updates statistics of the state from a training batch."""

    @abc.abstractmethod
    def grid(
        self,
        x: tf.Tensor,
        state: Mapping[str, Any],
        *,
        widest: Self | None = None,
        channel_axes: Sequence[int] | None = None,
    ) -> ops.UniformGrid:
        """Returns the levels for this tensor and state.

        Args:
            x: The tensor; its values may determine the step.
            state: The state from `build`, as tensors.
            widest: The quantizer that owns the state, if several share it.
            channel_axes: As in `build`.
        """

    def grids(
        self,
        x: tf.Tensor,
        state: Mapping[str, Any],
        family: Sequence[Self],
        *,
        channel_axes: Sequence[int] | None = None,
    ) -> tuple[ops.UniformGrid, ...]:
        """Returns the levels of each quantizer of a family that shares the state of this one, the widest.

        Other arguments as in `grid`.
        """
        return tuple(each.grid(x, state, widest=self, channel_axes=channel_axes) for each in family)

    def __call__(self, x: Tensor, state: Mapping[str, Any], *, channel_axes: Sequence[int] | None = None) -> tf.Tensor:
        """Returns `x` rounded to the levels, in the same shape, with the gradient that the class documents."""
        x = tf.convert_to_tensor(x)
        return ops.mix(x, (1.0,), (self.grid(x, state, channel_axes=channel_axes),))

    def codes(
        self, x: Tensor, state: Mapping[str, Any], *, channel_axes: Sequence[int] | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `(integers, scale)` with `self(x, state) == integers * scale` exactly.

        `integers` are whole numbers as floats, in the shape of `x`; `scale` is a scalar or broadcasts over channels.
        """
        x = tf.convert_to_tensor(x)
        grid = self.grid(x, state, channel_axes=channel_axes)
        integers = ops.codes(x, grid)
        step = tf.convert_to_tensor(grid.step)
        return (2 * integers + 1, step / 2) if self.offset else (integers, step)
