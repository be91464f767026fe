"""Quantizes the annotated layers of a float model (TFMOT)."""

from collections.abc import Collection, Mapping

from tfmp.graph import Graph
from tfmp.operators.batch_normalization import with_positive_gammas
from tfmp.operators.operator_table import fused_activations, non_negative_tensors
from tfmp.search.search_settings import SearchSettings
from tfmp.transform.edits.activation_quantizers import quantize_layer, with_stored_tensors
from tfmp.transform.edits.layer_plan import EIGHT_BITS, FLOAT, plan
from tfmp.transform.edits.parts import with_parts
from tfmp.transform.edits.relaxed_graph import KEPT_SETTINGS, quantized_layer
from tfmp.transform.edits.split_layers import with_pairwise_additions, with_separate_activations


def with_annotated_layers(
    graph: Graph,
    settings: Mapping[str, SearchSettings | None],
    *,
    default: SearchSettings,
    first_and_last: str = "int8",
    foreign: Collection[str] = (),
    stored: Collection[str] = (),
) -> Graph:
    """Quantizes some layers of a network, each with its own settings.

    If every layer with a kernel is quantized, every tensor that an integer network stores gets a quantizer, as in
    `tfmp.relax`. Otherwise only the inputs and kernels of the named layers are quantized.

    Args:
        graph: The network in floating point.
        settings: Layer name to the settings of its search; None for the default.
        default: Settings of the layers without any, unless `first_and_last` keeps them at 8 bits.
        first_and_last: As in `tfmp.relax`.
        foreign: Names of layers that another library quantizes, except for their inputs.
        stored: Names of the foreign layers whose output the other library quantizes.

    Raises:
        ValueError: If a layer with settings has no kernel.
    """
    chosen = dict(settings)
    names = set(graph.layers)
    graph = with_parts(graph)
    for part in [layer.name for layer in graph.in_order() if layer.name not in names and layer.shape is not None]:
        whole = max((name for name in names if part.startswith(f"{name}_")), key=len)
        if whole in settings:
            chosen[part] = settings[whole]
    plans = plan(graph, first_and_last=first_and_last, quantizer=default.quantizer_pair)
    products = [layer.name for layer in graph.in_order() if layer.shape is not None]
    _check_kernels(graph, chosen)
    kept_float = [name for name in products if plans[name].status == FLOAT]
    chosen = {
        name: chosen_settings
        for name, chosen_settings in chosen.items()
        if chosen_settings is not None or name not in kept_float
    }
    graph = with_positive_gammas(graph)
    integer = all(name in chosen or name in foreign for name in products)
    if integer:
        graph = with_pairwise_additions(with_separate_activations(graph, fused_activations()))
    changed = {}
    for name in products:
        if name in chosen:
            chosen_settings = chosen[name]
            if chosen_settings is None:
                chosen_settings = KEPT_SETTINGS if plans[name].status == EIGHT_BITS else default
            signed = plans[name].signed_input
            changed[name] = quantized_layer(graph, graph.layers[name], chosen_settings, signed_input=signed)
    graph = graph.replace_layers(changed)
    graph, placeholders = _with_placeholders(graph, stored)
    graph = with_stored_tensors(graph) if integer else _with_quantized_inputs(graph, foreign)
    return graph.without(placeholders)


def _check_kernels(graph, chosen):
    without = [name for name, found in chosen.items() if found is not None and graph.layers[name].shape is None]
    if without:
        raise ValueError(
            f"These layers have a configuration of their own but no kernel that could be quantized: "
            f"{', '.join(without)}. Annotate them without a configuration, or not at all."
        )


def _with_placeholders(graph, stored):
    """Returns the graph with placeholders for the quantizers of the other library, and the names of these."""
    inserted, placeholders = {}, set()
    for call in graph.calls:
        if call.layer in stored:
            name = graph.unused_name(f"{call.layer}_output", placeholders)
            inserted[call.outputs[0]] = quantize_layer(name, signed=True)
            placeholders.add(name)
    return graph.insert_layers(inserted), placeholders


def _with_quantized_inputs(graph, foreign):
    inserted, names = {}, set()
    non_negative = non_negative_tensors(graph)  # quantizers do not change it
    for call in graph.calls:
        if call.layer not in foreign or graph.layer_of(call).shape is None or call.inputs[0] in inserted:
            continue
        tensor = call.inputs[0]
        producer = graph.layer_of(graph.producer(tensor))
        if producer.kind != "quantize":
            name = graph.unused_name(f"{producer.name}_quantizer", names)
            names.add(name)
            inserted[tensor] = quantize_layer(name, signed=tensor not in non_negative)
    return graph.insert_layers(inserted)
