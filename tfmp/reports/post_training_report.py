"""Report of post-training quantization: variants, errors and changes."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class ReconstructedBlock:
    """A block whose rounding was learned, and the error of its output on the calibration data.

    The error is the squared difference from the output in floating point, in units of the variance of a channel of that
    output, summed over the channels.

    Args:
        layers: Names of its layers with a kernel.
        nearest: The error with nearest rounding.
        learned: The error with learned rounding; the same if that was not smaller and nothing was changed.
    """

    layers: tuple[str, ...]
    nearest: float
    learned: float

    @property
    def title(self) -> str:
        """Its first layer, and how many others there are."""
        others = len(self.layers) - 1
        return f"{self.layers[0]} and {others} more" if others else self.layers[0]


@dataclasses.dataclass(frozen=True)
class PostTrainingReport:
    """Variants of a network after post-training quantization, and the chosen one; `str` prints it.

    Args:
        measure: The error measure: `"loss"`, or `"divergence from the output in floating point"`.
        errors: Error on the held-out samples, by variant: `"ranges"`, `"ranges, moments"`, `"ranges, some moments"`,
            `"ranges, normalization"`, ..., `"reconstruction"`.
        taken: The key of `errors` of the chosen variant.
        corrected: Layers whose moments are corrected in this variant: the mean, and the variance of a normalization.
        kept_channels: Number of channels by normalization that keep their statistics, because the data do not
            determine them.
        num_samples: Number of samples in the data.
        num_held_out: Number of held-out samples, on which errors were measured.
        blocks: What the reconstruction learned.
    """

    measure: str
    errors: Mapping[str, float]
    taken: str
    corrected: tuple[str, ...]
    kept_channels: Mapping[str, int]
    num_samples: int
    num_held_out: int
    blocks: tuple[ReconstructedBlock, ...] = ()

    def __str__(self) -> str:
        width = max(map(len, self.errors))
        samples = f"{self.num_held_out} of {self.num_samples} samples"
        lines = [f"Quantized after training. {self.measure.capitalize()}, on {samples}:"]
        for name, error in self.errors.items():
            lines.append(f"  {name:<{width}}  {error:.4g}{'  taken' if name == self.taken else ''}")
        if self.corrected:
            lines.append(f"Moments corrected: {', '.join(self.corrected)}")
        if self.kept_channels:
            counts = ", ".join(f"{name} {count}" for name, count in self.kept_channels.items())
            lines.append(f"Channels that keep their statistics, since the data say nothing about them: {counts}")
        if self.blocks:
            lines.append(f"Rounding learned in {len(self.blocks)} blocks. Error of their outputs, nearest and learned:")
            width = max(len(block.title) for block in self.blocks)
            lines += [f"  {block.title:<{width}}  {block.nearest:.4g}  {block.learned:.4g}" for block in self.blocks]
            if "reconstruction" not in self.taken:
                lines.append("The learned rounding has no smaller error on the held-out samples and is discarded.")
        return "\n".join(lines)
