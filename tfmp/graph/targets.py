"""The runtimes that a file can be written for."""

import dataclasses
import importlib.util
from collections.abc import Mapping

from tfmp.checks import check_choice

# How a runtime requantizes: with float32 factors, or with integers and shifts.
FLOATING_POINT, FIXED_POINT = "floating_point", "fixed_point"


@dataclasses.dataclass(frozen=True, eq=False)  # there is one of each, which caches know by its identity
class Target:
    """What a runtime runs and how it computes. Lowering, the writer and costs ask it.

    Args:
        name: As in `tfmp.export_tflite(target=)`.
        words: Its name in messages.
        arithmetic: `FLOATING_POINT` or `FIXED_POINT`.
        mode: How files store weights by default.
        number_type: Type of inputs and outputs by default.
        packed_bits: Kind of an integer operation to the bits, besides 8, of the codes of its kernel.
        gathers_windows: True if only FULLY_CONNECTED reads packed kernels, to which windows are gathered.
        decodes: Kinds whose kernels can be indices into tables.
        casts_to_uint8: True if CAST has the type uint8.
        averages_by_convolution: True if windows without padding are averaged by a convolution, the faster operator.
        package: The package that runs its files on this machine; None if it is always installed.
    """

    name: str
    words: str
    arithmetic: str
    mode: str
    number_type: str
    packed_bits: Mapping[str, tuple[int, ...]]
    gathers_windows: bool = False
    decodes: frozenset[str] = frozenset()
    casts_to_uint8: bool = False
    averages_by_convolution: bool = False
    package: str | None = None

    @property
    def is_installed(self) -> bool:
        """True if files can be run on this machine."""
        return self.package is None or importlib.util.find_spec(self.package.replace("-", "_")) is not None


LITERT = Target(
    "litert",
    "LiteRT",
    FLOATING_POINT,
    mode="fast",
    number_type="float32",
    packed_bits={"conv2d": (4, 2), "dense": (4, 2)},
    gathers_windows=True,
    casts_to_uint8=True,
    averages_by_convolution=True,
)
# Seen with tflite-micro 0.dev20261023; `tests/tflite/operators_test.py` runs the operators. It has no FULLY_CONNECTED
# with 4 bits and a scale per channel, and nothing with 2 bits; DECODE writes INT8 kernels to the arena.
MICRO = Target(
    "micro",
    "TensorFlow Lite for Microcontrollers",
    FIXED_POINT,
    mode="small",
    number_type="int8",
    packed_bits={"conv2d": (4,), "depthwise_conv2d": (4,)},
    decodes=frozenset(("conv2d", "depthwise_conv2d", "dense", "conv2d_transpose")),
    package="tflite-micro",
)
TARGETS = {target.name: target for target in (LITERT, MICRO)}


def target_of(name: str) -> Target:
    """Returns a target by its name.

    Raises:
        ValueError: If the name is unknown.
    """
    return TARGETS[check_choice("target", name, TARGETS)]
