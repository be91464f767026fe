"""Wraps the quantized layers of a graph in TFMOT's wrappers."""

import dataclasses

import tf_keras

from tfmp.bindings.layer_kinds import has_kernel, kernel_classes
from tfmp.bindings.nesting import local_name
from tfmp.bindings.tfmot.fixed_precision_quantize_config import FixedPrecisionQuantizeConfig
from tfmp.bindings.tfmot.mixed_precision_quantize_config import MixedPrecisionQuantizeConfig
from tfmp.bindings.tfmot.mixed_precision_quantize_wrapper import MixedPrecisionQuantizeWrapper
from tfmp.graph import Graph, Layer, LayerOrigin
from tfmp.search.search_settings import SearchSettings

PREFIX = "quant_"


def wrapped(graph: Graph) -> Graph:
    """Returns the graph that the binding of tf_keras writes.

    Layers that had a wrapper of TFMOT when the graph was read get it again. Other layers whose kernel or input is
    quantized get the wrapper of tfmp.
    """
    whole = {layer.name for layer in graph.layers.values() if _is_whole(graph, layer)}
    graph = graph.without({layer.name for layer in graph.layers.values() if layer.origin.part_of in whole})
    names = {}
    for layer in list(graph.layers.values()):
        if layer.name in whole:
            changed = _as_it_was(layer)
        elif layer.is_quantized and has_kernel(layer.kind):
            changed = _with_our_wrapper(layer, local_name(graph, layer.name))
        else:
            continue
        around = layer.name.removesuffix(local_name(graph, layer.name))
        names[layer.name] = around + changed.origin.config["name"]
        graph = graph.replace_layers({layer.name: changed})
    return dataclasses.replace(
        graph,
        layers={names.get(name, name): _named(layer, names.get(name, name)) for name, layer in graph.layers.items()},
        calls=tuple(dataclasses.replace(call, layer=names.get(call.layer, call.layer)) for call in graph.calls),
    )


def _is_whole(graph, layer):
    """Returns True if a layer and the quantizers of its output are still as TFMOT's wrapper had them."""
    wrapper = layer.origin.wrapper
    if wrapper is None or (layer.shape is not None and not layer.is_quantized):
        return False
    parts = (graph.layers.get(name) for name in wrapper.parts)
    return all(part is not None and part.origin.part_of == layer.name for part in parts)


def _as_it_was(layer):
    wrapper = layer.origin.wrapper
    weights = {path: layer.weights.get(path, value) for path, value in wrapper.weights.items()}
    return dataclasses.replace(layer, origin=LayerOrigin(wrapper.layer_class, wrapper.config), weights=weights)


def _with_our_wrapper(layer: Layer, name) -> Layer:
    plain_class = getattr(tf_keras.layers, kernel_classes()[layer.kind])
    config = dict(layer.origin.config)
    arguments = {key: config.pop(key) for key in SearchSettings.names() if key in config}
    arguments.pop("coupled", None)  # not possible in a wrapper, which calls its layer once
    num_calls = config.pop("num_calls", 1)
    if len(layer.weight.formats) > 1 or len(layer.activation.formats) > 1:
        quantize_config = MixedPrecisionQuantizeConfig(**arguments)
    else:
        bits = (arguments[key] for key in ("weight_bits", "activation_bits"))
        options = {key: arguments[key] for key in ("quantizer", "signed_input") if key in arguments}
        quantize_config = FixedPrecisionQuantizeConfig(*(b and b[0] for b in bits), **options)
    serialize = tf_keras.utils.legacy.serialize_keras_object  # like TFMOT
    wrapper_config = {
        "name": f"{PREFIX}{name}",
        "trainable": layer.trainable,
        "dtype": config.get("dtype", "float32"),
        "layer": serialize(plain_class.from_config({**config, "name": name})),
        "quantize_config": serialize(quantize_config),
        "num_calls": num_calls,
    }
    return dataclasses.replace(layer, origin=LayerOrigin(MixedPrecisionQuantizeWrapper, wrapper_config))


def _named(layer, name):
    return dataclasses.replace(layer, name=name)
