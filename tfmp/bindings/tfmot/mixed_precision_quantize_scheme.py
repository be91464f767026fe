"""TFMOT scheme that assigns a configuration to each annotated layer."""

import abc
from collections.abc import Collection, Mapping
from typing import Any

from tensorflow_model_optimization.quantization.keras import QuantizeLayoutTransform, QuantizeRegistry, QuantizeScheme

from tfmp.bindings.framework import framework_named
from tfmp.bindings.layer_kinds import has_kernel, kernel_classes, kind_and_attributes
from tfmp.bindings.tfmot.mixed_precision_quantize_config import MixedPrecisionQuantizeConfig
from tfmp.bindings.tfmot.tfmot_framework import TfmotFramework
from tfmp.graph import Graph
from tfmp.search.search_settings import SearchSettings


class MixedPrecisionQuantizeRegistry(QuantizeRegistry):
    """The registry of a scheme, with one configuration for all layers with a kernel.

    Args:
        config: The `MixedPrecisionQuantizeConfig` of layers that are annotated without one.

    Attributes:
        left_alone: Names of the layers without annotation in the model that was applied last. TFMOT would quantize
            their output if an annotated layer reads it; here the annotated layer quantizes its input.
    """

    def __init__(self, config):
        self.config = config
        self.left_alone = frozenset()

    def supports(self, layer) -> bool:
        """Returns True for a layer that is quantized if it is annotated without a configuration."""
        kind, _ = kind_and_attributes(type(layer), layer.get_config(), framework="tf_keras")
        return has_kernel(kind) and layer.name not in self.left_alone

    def get_quantize_config(self, layer):
        if not self.supports(layer):
            raise ValueError(
                f"Layer `{layer.name}` ({type(layer).__name__}) is not annotated, or has no kernel that could be "
                f"quantized. Layers with one: {', '.join(kernel_classes().values())}"
            )
        return MixedPrecisionQuantizeConfig.from_config(self.config.get_config())


class MixedPrecisionQuantizeLayoutTransform(QuantizeLayoutTransform):
    """Wraps annotated layers so that their inputs are quantized, and inserts quantizers between them.

    Args:
        scheme: A `QuantizeSchemeBase`.
    """

    def __init__(self, scheme):
        self.scheme = scheme

    def apply(self, model, layer_quantize_map):
        graph = framework_named("tf_keras").read(model)
        inputs = set(model.input_names)  # TFMOT lists layers whose output an annotated layer reads
        annotated = {
            name: metadata.get("quantize_config") for name, metadata in layer_quantize_map.items() if name not in inputs
        }
        self.scheme.registry.left_alone = frozenset(graph.layers) - frozenset(annotated)
        settings, foreign = {}, {}
        for name, config in annotated.items():
            if config is None or isinstance(config, MixedPrecisionQuantizeConfig):
                settings[name] = None if config is None else config.settings
            else:
                foreign[name] = config
        stored = {name for name, config in foreign.items() if _quantizes_output(config, model.get_layer(name))}
        transformed = TfmotFramework().write(
            self.scheme.quantize(graph, settings, foreign=tuple(foreign), stored=stored)
        )
        return transformed, {name: {"quantize_config": config} for name, config in foreign.items()}


class QuantizeSchemeBase(QuantizeScheme):
    """A scheme for `quantize_apply` whose layout is decided on a `Graph`.

    Args:
        config: The `MixedPrecisionQuantizeConfig` of layers that are annotated without one.
    """

    def __init__(self, config: Mapping[str, Any]):
        self.registry = MixedPrecisionQuantizeRegistry(config)

    @abc.abstractmethod
    def quantize(
        self,
        graph: Graph,
        settings: Mapping[str, SearchSettings | None],
        *,
        foreign: Collection[str],
        stored: Collection[str],
    ) -> Graph:
        """Returns the graph with its annotated layers quantized.

        Args:
            graph: The model in floating point.
            settings: Name of an annotated layer to the settings of its search, None for those of the scheme.
            foreign: Names of the layers that TFMOT's own wrapper quantizes.
            stored: Names of the foreign layers whose output TFMOT quantizes.
        """

    def get_layout_transformer(self) -> Any:
        return MixedPrecisionQuantizeLayoutTransform(self)

    def get_quantize_registry(self) -> Any:
        return self.registry


def _quantizes_output(config, layer):
    return bool(config.get_output_quantizers(layer) or config.get_activations_and_quantizers(layer))
