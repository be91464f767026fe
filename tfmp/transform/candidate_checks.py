"""Checks that a file can hold the candidates of a layer."""

from tfmp import quantizers
from tfmp.graph import Layer
from tfmp.graph.runtime_limits import LARGEST_KERNEL_CODE
from tfmp.operators.fold_error import FoldError


def check_library(layer: Layer) -> None:
    """Raises `FoldError` if a quantizer of another library quantizes a layer."""
    for tensor, selection in (("weights", layer.weight), ("input", layer.activation)):
        if not selection.formats[0].is_float and not quantizers.is_known(selection.quantizer):
            raise FoldError(
                layer.name,
                f"it has its {tensor} quantized by `{selection.quantizer}` of another library, whose levels are not "
                "those of a file",
                "Give it one of its 8-bit configurations, or one of `tfmp.tfmot`.",
            )


def check_kernel(layer: Layer) -> None:
    """Raises `FoldError` if INT8 cannot hold the codes of one of a kernel's candidates."""
    for candidate in layer.weight.formats:
        low, high = (0, 0) if candidate.is_float else candidate.code_range
        if not -LARGEST_KERNEL_CODE <= low <= high <= LARGEST_KERNEL_CODE:
            raise FoldError(
                layer.name,
                f"it has {candidate.bits} bits of `{layer.weight.quantizer}` for its weights, whose codes up to "
                f"{high} INT8 cannot hold",
                f"Use at most {candidate.bits - 1} bits with it, or another quantizer.",
            )


def check_range(layer: Layer) -> None:
    """Raises `FoldError` if the range of a layer's input changes with every batch."""
    name = layer.activation.quantizer
    if name and quantizers.family(name).range_of_every_batch:
        raise FoldError(
            layer.name,
            f"it has `{name}` for its input, whose range changes with every batch, while a file has one range",
            'Use "moving_range" or "lsq" for activations, e.g. `quantizer=("linear", "moving_range")`.',
        )


def check_zero(layer: Layer) -> None:
    """Raises `FoldError` if a candidate of a layer's input has no level at zero, which integers need."""
    selection = layer.activation
    for candidate in selection.formats:
        if candidate.is_float:
            continue
        if quantizers.get(selection.quantizer, bits=candidate.bits, signed=selection.signed).offset:
            raise FoldError(
                layer.name,
                f"it has {candidate.bits} bit for an input that can be negative: the levels -step and +step have no "
                "zero, which integer files need",
                "Use 2 bits or more for its input, or put a ReLU before it.",
            )
