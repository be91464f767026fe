"""One architecture of a search space with its bits, as a JSON record."""

import dataclasses
import os
from collections.abc import Iterable, Mapping

from tfmp.checks import check_instance, check_instances
from tfmp.files.json_record import JsonRecord, built_from
from tfmp.graph.layer_shape import LayerShape
from tfmp.joint.block_spec import BlockSpec
from tfmp.joint.search_space import BlockPlace, SearchSpace

ENDS_BITS = 8
_RECORD = JsonRecord(
    "tfmp.DiscreteNetwork",
    "a network of a search space",
    "`DiscreteNetwork.to_json`",
    needed=("space", "choices", "provenance"),
)


@dataclasses.dataclass(frozen=True)
class DiscreteNetwork:
    """A network of a search space: one choice for every block.

    It is hashable, and lists its layers and their bits without a framework, for use in an oracle.

    Args:
        space: The search space; its candidates need not include the choices.
        choices: One `BlockSpec` per block.
        provenance: Origin of the network; any JSON values. Two networks that differ only in it are equal.

    Raises:
        ValueError: If there is not one choice per block, or a block is skipped that cannot be.

    Example:
        >>> space = SearchSpace([(16, 1, 1)], image_size=8, num_classes=10, stem=(8, 1), last_channels=32)
        >>> network = DiscreteNetwork(space, [BlockSpec(False, 3, 5, 8, 4)])
        >>> network.bits["stage1_block1_depthwise"]
        (4, 4)
    """

    space: SearchSpace
    choices: tuple[BlockSpec, ...]
    provenance: Mapping = dataclasses.field(default_factory=dict, compare=False)

    def __post_init__(self):
        check_instance("space", self.space, SearchSpace, "a `SearchSpace`")
        check_instance("provenance", self.provenance, Mapping, "a mapping")
        choices = check_instances("choices", self.choices, BlockSpec, "`BlockSpec`")
        places = self.space.blocks
        if len(choices) != len(places):
            raise ValueError(f"Expected a choice for each of {len(places)} blocks. Received: {len(choices)}")
        for place, choice in zip(places, choices, strict=True):
            if choice.skip and not place.is_residual:
                raise ValueError(
                    f"Block `{place.name}` cannot be skipped: its input and its output differ in shape. "
                    "Expected a choice with an expansion, a kernel size and bits."
                )
        object.__setattr__(self, "choices", choices)

    @property
    def blocks(self) -> tuple[tuple[BlockPlace, BlockSpec], ...]:
        """The blocks that are not skipped, each with its choice."""
        return tuple(
            (place, choice) for place, choice in zip(self.space.blocks, self.choices, strict=True) if not choice.skip
        )

    @property
    def layers(self) -> tuple[LayerShape, ...]:
        """All layers with a kernel, in order, with their names in the Keras model."""
        space = self.space
        channels, strides = space.stem
        output_size, input_size = (-(-space.image_size // strides),) * 2, (space.image_size,) * 2
        layers = [
            LayerShape("stem", "conv2d", (3, 3), (strides,) * 2, 3, channels, 1, output_size, True, input_size),
        ]
        for place, choice in self.blocks:
            layers += block_layers(place, choice)
        last = space.blocks[-1]
        layers.append(_pointwise("last", last.out_channels, space.last_channels, last.output_size))
        layers.append(LayerShape("classifier", "dense", (1, 1), (1, 1), space.last_channels, space.num_classes))
        return tuple(layers)

    @property
    def searched_bits(self) -> dict[str, tuple[int, int]]:
        """Weight and input bits of the layers of the blocks, by name."""
        bits = {}
        for place, choice in self.blocks:
            for layer, each in zip(block_layers(place, choice), block_bits(choice), strict=True):
                bits[layer.name] = (each, each)
        return bits

    @property
    def bits(self) -> dict[str, tuple[int, int]]:
        """Weight and input bits of every layer, by name."""
        ends = dict.fromkeys(("last", "classifier"), (ENDS_BITS, ENDS_BITS))
        return {"stem": (ENDS_BITS, ENDS_BITS), **self.searched_bits, **ends}

    def with_bits(self, bits: int) -> "DiscreteNetwork":
        """Returns the architecture with the same bits in every block."""
        changed = tuple(
            choice if choice.skip else dataclasses.replace(choice, pointwise_bits=bits, depthwise_bits=bits)
            for choice in self.choices
        )
        return DiscreteNetwork(self.space, changed)

    def to_json(self, path: str | os.PathLike | None = None, *, overwrite: bool = False) -> str:
        """Returns the network as JSON and, given a path, writes it there; see `write_atomically` for errors."""
        content = {
            "space": self.space.as_dict(),
            "choices": [dataclasses.asdict(choice) for choice in self.choices],
            "provenance": dict(self.provenance),
        }
        return _RECORD.write(content, path, overwrite=overwrite)

    @classmethod
    def from_json(cls, source: str | os.PathLike) -> "DiscreteNetwork":
        """Reads a network from a path or from the JSON text itself.

        Raises:
            ValueError: If it is not a network, or has a newer version.
        """
        return _RECORD.read(source, cls._of)

    @classmethod
    def _of(cls, content):
        blocks = check_instances("choices", content["choices"], dict, "blocks")
        choices = [built_from(BlockSpec, block) for block in blocks]
        return cls(SearchSpace.from_dict(content["space"]), choices, content["provenance"])

    def __str__(self):
        width = max(len(place.name) for place in self.space.blocks)
        lines = (
            f"{place.name:<{width}}  {choice}" for place, choice in zip(self.space.blocks, self.choices, strict=True)
        )
        return "\n".join(lines)


def block_layers(place: BlockPlace, choice: BlockSpec) -> Iterable[LayerShape]:
    """Returns the expansion, the depthwise convolution and the projection of a block that is not skipped."""
    expansion, kernel_size, *_ = choice.numbers
    hidden = expansion * place.in_channels
    return (
        _pointwise(f"{place.name}_expand", place.in_channels, hidden, place.input_size),
        LayerShape(
            f"{place.name}_depthwise",
            "depthwise_conv2d",
            (kernel_size,) * 2,
            (place.strides,) * 2,
            hidden,
            hidden,
            hidden,
            (place.output_size,) * 2,
            input_size=(place.input_size,) * 2,
        ),
        _pointwise(f"{place.name}_project", hidden, place.out_channels, place.output_size),
    )


def block_bits(choice: BlockSpec) -> tuple[int, int, int]:
    """Returns the bits of the three layers of a block, in the order of `block_layers`."""
    *_, pointwise_bits, depthwise_bits = choice.numbers
    return pointwise_bits, depthwise_bits, pointwise_bits


def _pointwise(name, in_channels, out_channels, size):
    sides = (size, size)
    return LayerShape(name, "conv2d", (1, 1), (1, 1), in_channels, out_channels, 1, sides, input_size=sides)
