"""Public names for TensorFlow Model Optimization."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tfmp.bindings.tfmot.fixed_precision_quantize_config import FixedPrecisionQuantizeConfig
from tfmp.bindings.tfmot.mixed_precision_quantize_config import MixedPrecisionQuantizeConfig
from tfmp.bindings.tfmot.mixed_precision_quantize_scheme import QuantizeSchemeBase
from tfmp.bindings.tfmot.mixed_precision_quantize_wrapper import MixedPrecisionQuantizeWrapper
from tfmp.graph import Graph
from tfmp.search.search_settings import SearchSettings
from tfmp.transform.edits.annotated import with_annotated_layers

__all__ = [
    "FixedPrecisionQuantizeConfig",
    "MixedPrecisionQuantizeConfig",
    "MixedPrecisionQuantizeScheme",
    "MixedPrecisionQuantizeWrapper",
]


class MixedPrecisionQuantizeScheme(QuantizeSchemeBase):
    """Applies annotations so that layers quantize their own inputs, each by a choice among bits.

    Layers annotated with a configuration of TFMOT are quantized by TFMOT; those with a kernel that are annotated
    without one choose among the bits given here. If every layer with a kernel is annotated, the model becomes a network
    of integers as `tfmp.relax` makes it: what it stores between layers gets 8-bit quantizers.

    Args:
        weight_bits, activation_bits: As in `tfmp.search.SearchSettings`.
        first_and_last: `"int8"`, `"float"` or `"search"`, for layers annotated without a configuration; as in
            `tfmp.relax`.
        **settings: Others of these settings, but for `coupled`.

    Raises:
        ValueError: If bits are out of the quantizer's range, or a name is unknown.

    Example:
        >>> scheme = MixedPrecisionQuantizeScheme(weight_bits=(2, 4, 8), activation_bits=(4, 8))
        >>> search_model = quantize_apply(quantize_annotate_model(model), scheme=scheme)
    """

    def __init__(
        self,
        weight_bits: int | Sequence[int] | None = (1, 2, 3, 4),
        activation_bits: int | Sequence[int] | None = (2, 3, 4),
        *,
        first_and_last: str = "int8",
        **settings: Any,
    ):
        super().__init__(MixedPrecisionQuantizeConfig(weight_bits, activation_bits, **settings))
        self.first_and_last = first_and_last

    def quantize(
        self,
        graph: Graph,
        ours: Mapping[str, SearchSettings | None],
        *,
        theirs: Collection[str],
        stored: Collection[str],
    ) -> Graph:
        return with_annotated_layers(
            graph,
            ours,
            default=self.registry.config.settings,
            first_and_last=self.first_and_last,
            theirs=theirs,
            stored=stored,
        )
