"""What post-training quantization tried, took and changed."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class PostTrainingReport:
    """What was tried, what was taken, and what it changed; `str` prints it.

    Args:
        measure: What the errors are: `"loss"`, or `"divergence from the output in floating point"`.
        errors: Error on the samples held out, by what was done: `"ranges"`, `"ranges, moments"`, `"ranges, some
            moments"`, `"ranges, normalization"`, ...
        taken: The key of `errors` that the network was left with.
        corrected: Layers whose moments were corrected in what was taken: the mean, and the variance of a normalization.
        kept_channels: Channels about which the data say nothing and which keep their statistics, by normalization.
        num_samples: Samples in the data.
        num_held_out: Those of them on which errors were measured.
    """

    measure: str
    errors: Mapping[str, float]
    taken: str
    corrected: tuple[str, ...]
    kept_channels: Mapping[str, int]
    num_samples: int
    num_held_out: int

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
        return "\n".join(lines)
