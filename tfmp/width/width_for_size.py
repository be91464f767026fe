"""`tfmp.width.width_for_size`: the width at a given model size."""

import dataclasses
import math
from collections.abc import Callable

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_function, check_integer, check_number, check_numbers
from tfmp.transform.edits.layer_plan import SEARCHED, plan
from tfmp.transform.edits.parts import with_parts
from tfmp.width.channel_flow import follows_input
from tfmp.width.dual_precision_model import is_depthwise


@dataclasses.dataclass(frozen=True)
class Width:
    """A width multiplier that was found for a model size.

    Args:
        width: The multiplier.
        size_bits: Size of the kernels at this width, bits.
        target_bits: The requested size, bits.

    Example:
        >>> Width(0.5, size_bits=1010.0, target_bits=1000.0).relative_error
        0.01
    """

    width: float
    size_bits: float
    target_bits: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_number(field.name, getattr(self, field.name), above=0)

    @property
    def relative_error(self) -> float:
        """Excess of the size over the target, relative to the target; negative if it is below."""
        return self.size_bits / self.target_bits - 1


def width_for_size(
    build: Callable[[float], KerasModel],
    target_bits: float,
    *,
    weight_bits: int,
    depthwise_bits: int | None = None,
    widths: tuple[float, float] = (0.01, 8.0),
    tolerance: float = 0.02,
) -> Width:
    """Finds the width multiplier at which the kernels of a network have a given size in bits.

    Use it to compare networks of different precisions at equal size: fewer bits allow more channels. The first and the
    last layer count 8 bits a weight, as in `tfmp.relax`, and so do other layers that it keeps at 8 bits.

    It builds a few models, the largest with about as many weights as the target allows. Channels are whole numbers, so
    the size reached differs from the target; the result contains it.

    Args:
        build: Function of the width multiplier that returns a Keras model, which must not shrink for a larger width:
            `lambda width: tfmp.networks.get("resnet20")(keras, width=width)`.
        target_bits: The size in bits, biases and normalizations not counted: `tfmp.costs.ModelSize(kernels_only=True)`.
        weight_bits: Integer from 1 to 8, of the convolutions and dense layers that are searched.
        depthwise_bits: Integer from 1 to 8, of the depthwise convolutions; None for `weight_bits`.
        widths: The smallest and the largest width to try.
        tolerance: Largest relative error of the size.

    Returns:
        A `tfmp.width.Width`. The search ends at a quarter of the tolerance, or if no width is closer.

    Raises:
        ValueError: If no width reaches the target; the message names the nearest sizes. If an argument is out of range,
            or a layer has a kernel in floating point, which the size would not include.

    Reference: DualPrecision, eq. 6 and section 6
    """
    bits = {"weight_bits": weight_bits, "depthwise_bits": weight_bits if depthwise_bits is None else depthwise_bits}
    check_function("build", build, "a width multiplier that returns a Keras model")
    _check(target_bits, bits, widths, tolerance)
    tried = {}
    low, high = widths
    width = min(max(1.0, low), high)
    while True:
        size = tried[width] = kernel_bits(build(width), **bits)
        if abs(size / target_bits - 1) <= tolerance / 4:
            break
        low, high = (width, high) if size < target_bits else (low, width)
        if high < low * (1 + tolerance / 20):  # the size differs by twice as much
            break
        width = _next_width(target_bits, low, high, tried)
    width = min(tried, key=lambda width: abs(tried[width] - target_bits))
    if abs(tried[width] / target_bits - 1) > tolerance:
        raise ValueError(_unreachable(target_bits, tried, widths, tolerance))
    return Width(width, tried[width], target_bits)


def _next_width(target_bits, low, high, tried):
    """Returns the next width to try: by a power law between two widths, or their middle in every second step.

    With only one width, it uses the square law first and then larger steps, because fixed ends follow no power law.
    """
    ends = [width for width in (low, high) if width in tried]
    power = 2 / len(tried)
    if len(ends) == 2:
        power = math.log(tried[high] / tried[low]) / math.log(high / low)
    guess = ends[0] * (target_bits / tried[ends[0]]) ** (1 / power)
    if len(ends) == 1:
        return min(max(guess, low), high)
    return guess if low < guess < high and len(tried) % 2 else math.sqrt(low * high)


def kernel_bits(model: KerasModel, weight_bits: int, depthwise_bits: int | None = None) -> int:
    """Returns the size in bits of a float model's kernels at two precisions."""
    depthwise_bits = weight_bits if depthwise_bits is None else depthwise_bits
    framework = framework_of(model)
    graph = with_parts(framework.read(model, weights=False))
    plans, total = plan(graph), 0
    for layer in graph.in_order():
        if layer.shape is None:
            if _has_kernel(framework, model, layer):
                raise ValueError(
                    f"Layer `{layer.name}` ({layer.origin.class_name}) has a kernel that would stay in floating "
                    f"point, which the size would not include: {plans[layer.name].reason}."
                )
            continue
        shape = layer.shape
        bits = depthwise_bits if is_depthwise(shape) else weight_bits
        total += shape.num_weights * (bits if plans[layer.name].status == SEARCHED else 8)
    if not total:
        raise ValueError(f"`build` must return a model with kernels. Received: `{graph.name}`, which has none")
    return total


def _has_kernel(framework, model, layer):
    if not layer.num_parameters or follows_input(layer):
        return False
    return any(len(weight.shape) > 1 for weight in framework.layer(model, layer.name).weights)


def _check(target_bits, bits, widths, tolerance):
    for name, value in bits.items():
        check_integer(name, value, at_least=1, at_most=8)
    check_number("target_bits", target_bits, above=0)
    check_number("tolerance", tolerance, above=0)
    check_numbers("widths", widths, count=2, above=0, hint="Give the smaller one first")
    if widths[0] > widths[1]:
        raise ValueError(f"`widths` must be two numbers, the smaller first. Received: {widths!r}")


def _unreachable(target_bits, tried, widths, tolerance):
    sizes = sorted((size, width) for width, size in tried.items())
    (smallest, at_smallest), (largest, at_largest) = sizes[0], sizes[-1]
    if target_bits < smallest:
        nearest = (
            f"The smallest size is {smallest:,} bits, at width {at_smallest:.4g}: raise the target or lower `widths`"
        )
    elif target_bits > largest:
        nearest = f"The largest size is {largest:,} bits, at width {at_largest:.4g}: lower the target or raise `widths`"
    else:
        below, above = max(s for s in sizes if s[0] < target_bits), min(s for s in sizes if s[0] > target_bits)
        nearest = (
            f"The nearest sizes are {below[0]:,} bits at width {below[1]:.4g} and {above[0]:,} bits at width "
            f"{above[1]:.4g}, because channels are whole numbers: choose one of them or raise `tolerance`"
        )
    return f"No width from {widths[0]:g} to {widths[1]:g} has {target_bits:,} bits within {tolerance:.2%}. {nearest}."
