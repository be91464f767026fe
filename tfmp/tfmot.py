"""Public names for TensorFlow Model Optimization."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tfmp.bindings.tfmot.fixed_precision_quantize_config import FixedPrecisionQuantizeConfig
from tfmp.bindings.tfmot.mixed_precision_quantize_config import MixedPrecisionQuantizeConfig
from tfmp.bindings.tfmot.mixed_precision_quantize_scheme import QuantizeSchemeBase
from tfmp.bindings.tfmot.mixed_precision_quantize_wrapper import MixedPrecisionQuantizeWrapper
from tfmp.graph import Graph
from tfmp.search.search_settings import SearchSettings, document_settings
from tfmp.transform.edits.annotated import with_annotated_layers

__all__ = [
    "FixedPrecisionQuantizeConfig",
    "MixedPrecisionQuantizeConfig",
    "MixedPrecisionQuantizeScheme",
    "MixedPrecisionQuantizeWrapper",
]


class MixedPrecisionQuantizeScheme(QuantizeSchemeBase):
    """Quantizes annotated layers so that the bits of their kernels and inputs are searched.

    Layers annotated with a configuration of TFMOT are quantized by TFMOT. Layers with a kernel that are annotated
    without a configuration get these candidates. If every layer with a kernel is annotated, the tensors that an integer
    network stores between layers get 8-bit quantizers, as in `tfmp.relax`.

    Args:
        first_and_last: `"int8"`, `"float"` or `"search"`, for layers annotated without a configuration; as in
            `tfmp.relax`. Default: `"int8"`.
        signed_input: True if the input can be negative; None derives it from the model. Default: `None`.
        **settings: The other settings of `tfmp.search.SearchSettings`, except `coupled`.

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
        settings: Mapping[str, SearchSettings | None],
        *,
        foreign: Collection[str],
        stored: Collection[str],
    ) -> Graph:
        return with_annotated_layers(
            graph,
            settings,
            default=self.registry.config.settings,
            first_and_last=self.first_and_last,
            foreign=foreign,
            stored=stored,
        )


document_settings(MixedPrecisionQuantizeScheme, omit=["coupled"])
