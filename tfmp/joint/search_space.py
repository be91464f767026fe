"""The search space of a joint search: stages, blocks and their candidates."""

import dataclasses
import functools
import itertools
import math
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfmp.checks import check_instance, check_instances, check_integer, check_integers, received
from tfmp.files.json_record import JsonRecord, built_from
from tfmp.joint.block_spec import BlockCandidates

if TYPE_CHECKING:  # which imports this file
    from tfmp.joint.discrete_network import DiscreteNetwork


@dataclasses.dataclass(frozen=True)
class Stage:
    """A row of the macro-architecture: blocks with the same number of output channels.

    Args:
        channels: Output channels of every block.
        strides: Strides of the first block; the others have 1.
        repeats: Number of blocks.

    Raises:
        ValueError: If a number is not a positive integer.

    Example:
        >>> Stage(24, strides=1, repeats=2)
        Stage(channels=24, strides=1, repeats=2)
    """

    channels: int
    strides: int = 1
    repeats: int = 1

    def __post_init__(self):
        for field in dataclasses.fields(self):
            check_integer(field.name, getattr(self, field.name), at_least=1, where="Stage")


TABLE_1 = (
    Stage(16, 2, 1),
    Stage(24, 1, 2),
    Stage(32, 2, 4),
    Stage(64, 2, 4),
    Stage(128, 1, 4),
    Stage(160, 2, 5),
    Stage(256, 1, 2),
)


@dataclasses.dataclass(frozen=True)
class BlockPlace:
    """The position of a searched block, and its candidates.

    Args:
        name: Prefix of its layers' names.
        in_channels, out_channels: Channels of its input and output.
        strides: Strides of its depthwise convolution.
        input_size: Height and width of its input, which is square.
        candidates: Its candidates; `skip` is `(False,)` if its input and output differ in shape.
    """

    name: str
    in_channels: int
    out_channels: int
    strides: int
    input_size: int
    candidates: BlockCandidates

    @property
    def is_residual(self) -> bool:
        """True if its input is added to its output."""
        return self.strides == 1 and self.in_channels == self.out_channels

    @property
    def output_size(self) -> int:
        """Height and width of its output."""
        return -(-self.input_size // self.strides)


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """A macro-architecture of mobile inverted bottlenecks, and the candidates of each block.

    A 3x3 convolution, stages of blocks, a 1x1 convolution, the mean over positions and a classifier. For each block it
    is searched whether it is skipped, its expansion, the size of its depthwise kernel and the bits of its convolutions,
    all independently. Other layers have 8 bits. The defaults are the published space for ImageNet.

    Args:
        stages: The rows: `Stage`s, or tuples of their arguments.
        candidates: `BlockCandidates` of every block, or a sequence of one per block.
        image_size: Height and width of the images.
        num_classes: Number of logits.
        stem: Channels and strides of the first convolution.
        last_channels: Channels of the last convolution.

    Raises:
        ValueError: If a number is not a positive integer, the candidates are not one per block, a block must be skipped
            although its input and output differ in shape, or one of several kernels is smaller than a block's strides.

    Example:
        >>> space = SearchSpace([Stage(16), Stage(24, 2, 2)], image_size=32, num_classes=10, stem=(16, 1))
        >>> [(block.name, block.candidates.skip) for block in space.blocks]  # doctest: +NORMALIZE_WHITESPACE
        [('stage1_block1', (False, True)), ('stage2_block1', (False,)), ('stage2_block2', (False, True))]

    Reference: Gong et al., 2019, "Mixed Precision Neural Architecture Search for Energy Efficient Deep Learning",
    table I
    """

    stages: tuple[Stage, ...] = TABLE_1
    candidates: BlockCandidates | tuple[BlockCandidates, ...] = BlockCandidates()
    image_size: int = 224
    num_classes: int = 1000
    stem: tuple[int, int] = (32, 2)
    last_channels: int = 1280

    def __post_init__(self):
        check_instance("stages", self.stages, (list, tuple), "a list of `Stage`")
        stages = tuple(stage if isinstance(stage, Stage) else built_from(Stage, stage) for stage in self.stages)
        if not stages:
            raise ValueError("`stages` must contain at least one stage. Received none.")
        object.__setattr__(self, "stages", stages)
        stem = check_integers("stem", self.stem, count=2, at_least=1, hint="Give (channels, strides)")
        object.__setattr__(self, "stem", stem)
        for name in ("image_size", "num_classes", "last_channels"):
            object.__setattr__(self, name, check_integer(name, getattr(self, name), at_least=1))
        candidates = self.candidates
        candidates = built_from(BlockCandidates, candidates) if isinstance(candidates, dict) else candidates
        if not isinstance(candidates, BlockCandidates):
            candidates = check_instances("candidates", candidates, (BlockCandidates, dict), "`BlockCandidates`")
            candidates = tuple(
                built_from(BlockCandidates, each) if isinstance(each, dict) else each for each in candidates
            )
            count = sum(stage.repeats for stage in stages)
            if len(candidates) != count:
                raise ValueError(f"`candidates` must be one for each of {count} blocks. Received: {len(candidates)}")
        object.__setattr__(self, "candidates", candidates)
        self.blocks  # noqa: B018 (a block that cannot be is found now)

    @functools.cached_property
    def blocks(self) -> tuple[BlockPlace, ...]:
        """All blocks, in order."""
        places = []
        channels, size = self.stem[0], -(-self.image_size // self.stem[1])
        per_block = self.candidates
        endless = itertools.repeat(per_block) if isinstance(per_block, BlockCandidates) else iter(per_block)
        for row, stage in enumerate(self.stages, start=1):
            for number in range(1, stage.repeats + 1):
                strides = stage.strides if number == 1 else 1
                name = f"stage{row}_block{number}"
                place = BlockPlace(name, channels, stage.channels, strides, size, next(endless))
                if not place.is_residual:
                    place = dataclasses.replace(place, candidates=place.candidates.never_skipped(name))
                place.candidates.check_kernels(name, strides)
                places.append(place)
                channels, size = place.out_channels, place.output_size
        return tuple(places)

    @property
    def num_networks(self) -> int:
        """The number of different networks."""
        return math.prod(block.candidates.num_choices for block in self.blocks)

    def with_bits(self, *bits: int) -> "SearchSpace":
        """Returns the space with other candidates for the bits of all convolutions of the blocks."""
        changed = tuple(
            dataclasses.replace(block.candidates, pointwise_bits=bits, depthwise_bits=bits) for block in self.blocks
        )
        return dataclasses.replace(self, candidates=changed)

    def with_architecture(self, network: "DiscreteNetwork") -> "SearchSpace":
        """Returns the space with the architecture of a network of as many blocks, and the same bits."""
        if not hasattr(network, "choices"):
            raise TypeError(f"`network` must be a `DiscreteNetwork`. Received: {received(network)}")
        if len(network.choices) != len(self.blocks):
            raise ValueError(
                f"Expected a network of {len(self.blocks)} blocks, as this space has. Received: {len(network.choices)}"
            )
        fixed = tuple(
            block.candidates.with_architecture(choice)
            for block, choice in zip(self.blocks, network.choices, strict=True)
        )
        return dataclasses.replace(self, candidates=fixed)

    def as_dict(self) -> dict[str, Any]:
        """Returns the arguments as nested dicts and lists, for JSON."""
        return dataclasses.asdict(self)

    def to_json(self, path: str | os.PathLike | None = None, *, overwrite: bool = False) -> str:
        """Returns the space as JSON and, given a path, writes it there; see `write_atomically` for errors."""
        return _RECORD.write(self.as_dict(), path, overwrite=overwrite)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "SearchSpace":
        """Returns a space from the result of `as_dict`, or from some of its entries.

        Raises:
            ValueError: If an entry is unknown or has a wrong value.
        """
        check_instance("content", content, dict, "a dict, as `SearchSpace.as_dict` returns it")
        return built_from(cls, {key: value for key, value in content.items() if key not in ("format", "version")})

    @classmethod
    def from_json(cls, source: str | os.PathLike) -> "SearchSpace":
        """Reads a space from a path or from the JSON text itself.

        Raises:
            ValueError: If it is not a search space, or has a newer version.
        """
        return _RECORD.read(source, cls.from_dict)


_RECORD = JsonRecord("tfmp.SearchSpace", "a search space", "`SearchSpace.to_json`")
