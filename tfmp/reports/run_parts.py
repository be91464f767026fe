"""Parts of a `RunReport`."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class WishCheck:
    """A limit that was asked for, and what came out.

    Args:
        quantity: What is limited, `"flash"` for example.
        limit: The largest value that was asked for.
        found: The value of the result.
        unit: Unit of both; a share from 0 to 1 has none.
    """

    quantity: str
    limit: float
    found: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """True if the result is within the limit."""
        return self.found <= self.limit


@dataclasses.dataclass(frozen=True)
class Attempt:
    """A way that was considered, and what it gave.

    Args:
        way: Its name, `"int8"` for example.
        words: What it does.
        reason: Why it was tried, or skipped.
        verdict: What followed from it.
        size_bytes: Bytes of its file; None if it was skipped.
        accuracy: Accuracy of the file on the samples by which attempts are compared, 0 to 1; None if not measured.
    """

    way: str
    words: str
    reason: str
    verdict: str
    size_bytes: int | None = None
    accuracy: float | None = None


@dataclasses.dataclass(frozen=True)
class NetworkLayer:
    """A layer of the network that computes with a kernel, or joins branches.

    Args:
        name: Its name in the user's model.
        kind: Its kind, as in `tfmp.graph.Layer`.
        inputs: The layers of this list that it reads, directly or through layers that are not in it.
        weight_bits: Bits of its kernel; None without one.
        activation_bits: Bits of its input; None without a kernel.
        macs: Multiply-accumulates for one sample.
        file_bytes: Bytes of its constants in the file, scales included.
        container: Type of its weights in the file.
        energy_nj: Simulated energy for one sample, in nJ.
        latency_us: Simulated time for one sample, in microseconds.
        harm: The sum of the sensitivities of its bits; None if they were not measured.
    """

    name: str
    kind: str
    inputs: tuple[str, ...] = ()
    weight_bits: int | None = None
    activation_bits: int | None = None
    macs: int | None = None
    file_bytes: int | None = None
    container: str = ""
    energy_nj: float | None = None
    latency_us: float | None = None
    harm: float | None = None


@dataclasses.dataclass(frozen=True)
class Parity:
    """Agreement of a file with one model, on the same samples; of several outputs the worst.

    Args:
        model: `"folded"`, `"trained"` or `"reference"`, as in `TFLiteReport`.
        equal_share: Share of equal numbers, 0 to 1.
        top1_agreement: Share of equal decisions, 0 to 1; None if the outputs do not predict classes.
        signal_to_noise_db: In decibels; None if nothing differs.
        largest_difference: In standard deviations of the model's output.
        num_samples: Number of samples.
    """

    model: str
    equal_share: float
    top1_agreement: float | None
    signal_to_noise_db: float | None
    largest_difference: float
    num_samples: int


Scores = Mapping[str, Mapping[str, Mapping[int, float]]]  # layer to `"weights"` or `"activations"` to bits to score
