"""The record of a layer that computes a part of what a layer of the user computes."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph import Layer


@dataclasses.dataclass(frozen=True)
class Part:
    """One of the layers into which a composite layer is split; the last one computes its output.

    Args:
        suffix: Its name is `<name of the composite layer>_<suffix>`, without a suffix the name itself. Exactly one part
            has none: it is listed under the name that the user knows.
        kind: Its kind, of which a framework can make a layer.
        sources: What it reads: the position of an input of the composite layer, or the suffix of an earlier part.
        shape: Sizes of its output, without the batch.
        config: Arguments of its class, without the name.
        attributes: Its attributes, as in `tfmp.graph.Layer`.
        sizes: Shapes of its arrays by path.
        weights: Its arrays by path; empty if the layer was read without them.
    """

    suffix: str
    kind: str
    sources: tuple[int | str, ...]
    shape: tuple[int | None, ...]
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    sizes: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def num_parameters(self) -> int:
        """Number of elements of its arrays."""
        return sum(math.prod(sizes) for sizes in self.sizes.values())


def activation_of(layer: Layer) -> dict[str, Any]:
    """Returns the attributes of a composite layer that describe its activation."""
    return {
        "activation": layer.attributes.get("activation", "linear"),
        "activation_kind": layer.attributes.get("activation_kind"),
    }


def shared_arguments(layer: Layer, *others: str) -> dict[str, Any]:
    """Returns the arguments of a composite layer that every part takes, and `others`, as far as it has them."""
    return {key: layer.origin.config[key] for key in ("trainable", "dtype", *others) if key in layer.origin.config}


def dense_part(
    layer: Layer,
    suffix: str,
    source: int | str,
    axes: Sequence[int | None],
    *,
    in_channels: int,
    units: int,
    weights: Mapping[str, np.ndarray],
    use_bias: bool,
) -> Part:
    """Returns a dense layer over the last axis, with the activation of the composite layer, as a part of it.

    Args:
        layer: The composite layer.
        suffix: As in `Part`.
        source: Its only input, as in `Part`.
        axes: Sizes of its output, without the batch and the last axis.
        in_channels: Size of the last axis of its input.
        units: Size of the last axis of its output.
        weights: Its `kernel` and `bias` in any shape; empty if the layer was read without them.
        use_bias: True if it has a bias.
    """
    sizes: dict[str, tuple[int, ...]] = {"kernel": (in_channels, units), **({"bias": (units,)} if use_bias else {})}
    arguments = [f"{array}_{part}" for array in ("kernel", "bias") for part in ("initializer", "regularizer")]
    config = {**shared_arguments(layer, "activation", *arguments), "units": units, "use_bias": use_bias}
    attributes = {"use_bias": use_bias, **activation_of(layer)}
    arrays = {path: np.reshape(weights[path], sizes[path]) for path in sizes if path in weights}
    return Part(suffix, "dense", (source,), (*axes, units), config, attributes, sizes, arrays)


def reshape_part(suffix: str, source: int | str, shape: Sequence[int | None]) -> Part:
    """Returns a reshape to the sizes `shape`, of which at most one is free, as a part of a composite layer."""
    target = tuple(-1 if size is None else size for size in shape)
    return Part(suffix, "reshape", (source,), tuple(shape), {"target_shape": target})


def is_plain(config: Mapping[str, Any]) -> bool:
    """Returns True if a layer has a kernel and a bias alone: no constraint, activity regularizer or adapter."""
    named = ("kernel_constraint", "bias_constraint", "activity_regularizer", "lora_rank", "quantization_config")
    return all(config.get(name) is None for name in named)
