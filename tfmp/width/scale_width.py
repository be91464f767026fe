"""`tfmp.width.scale_width`: a network with scaled channel counts."""

import dataclasses

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.bindings.nesting import names_in
from tfmp.checks import check_flag, check_number
from tfmp.graph import Graph, Layer
from tfmp.operators import TABLE
from tfmp.transform.edits.layer_plan import LayerSelection, first_and_last_layers, matcher
from tfmp.width.channel_flow import ChannelFlow, has_kernel


def scale_width(
    model: KerasModel, multiplier: float, *, fixed_ends: bool = False, keep: LayerSelection = None
) -> KerasModel:
    """Returns a new model with the structure of a given one and `multiplier` times as many channels.

    Filters, units and embeddings are multiplied and rounded to whole numbers, at least 1. Those of grouped convolutions
    and normalizations are rounded to multiples of the groups, unless there is one group per channel. Channels that are
    added, multiplied or concatenated stay consistent. Inputs and outputs of the model keep their size: images their
    three channels, logits their classes.

    The new model is untrained: its weights have the initial values of their layers, and all of them are trainable. Only
    preprocessing `Normalization` layers keep their statistics.

    Args:
        model: A built Sequential or functional Keras model in floating point. It is not changed.
        multiplier: Positive number.
        fixed_ends: True to keep the output channels of the first layers with a kernel and the input channels of the
            last ones, as in DualPrecision, which keeps these layers at 8 bits. Channels that are added to them are kept
            too: in a residual network, those between the blocks of its last stage.
        keep: Layers whose outputs keep their channels: a name, a pattern such as `"head*"`, a function of a
            `tfmp.graph.Layer`, or a list of these.

    Returns:
        A model of the same framework, not compiled. Layers have the same names.

    Raises:
        ValueError: If `multiplier` is not positive, the model is unbuilt, a subclass or quantized already, `keep`
            matches no layer, or a layer cannot have other channels; the message names it and says why.

    Example:
        >>> half = tfmp.width.scale_width(keras.applications.ResNet50(weights=None), 0.5)

    Reference: Howard et al., 2017, https://arxiv.org/abs/1704.04861, section 3.3
    """
    multiplier = check_number("multiplier", multiplier, above=0)
    check_flag("fixed_ends", fixed_ends)
    framework = framework_of(model)
    graph = framework.read(model)
    quantized = [layer.name for layer in graph.in_order() if layer.is_quantized]
    if quantized:
        raise ValueError(
            f"Model `{graph.name}` is quantized already, by its layers {', '.join(quantized)}. Scale the model in "
            "floating point, then relax it."
        )
    matches = matcher(keep, list(graph.in_order()), "keep")
    kept = {layer.name for layer in graph.in_order() if matches(layer)}
    with_kernels = {layer.name for layer in graph.in_order() if has_kernel(layer)}
    first, last = map(set, first_and_last_layers(graph, with_kernels))
    flow = ChannelFlow(graph, kept | first if fixed_ends else kept)
    for name in last if fixed_ends else ():
        flow.counts.keep(flow.read[name])
    expected = {name: flow.shape(name, multiplier) for name in graph.tensors}
    try:
        scaled = framework.write(_scaled(graph, flow, multiplier, expected))
    except Exception as error:
        raise ValueError(
            f"Model `{graph.name}` does not build with {multiplier:g} times its channels. Name the layers whose "
            f"channels must stay in `keep`. The error was: {error}"
        ) from error
    _check_shapes(graph, framework.read(scaled, weights=False), expected)
    return scaled


def _scaled(graph, flow, multiplier, expected) -> Graph:
    layers = {layer.name: _layer(graph, layer, flow, multiplier, expected) for layer in graph.in_order()}
    submodels = {}
    for use, submodel in graph.submodels.items():
        submodels[use] = dataclasses.replace(submodel, config=_inputs(submodel, expected), trainable=True)
    tensors = {name: dataclasses.replace(tensor, shape=expected[name]) for name, tensor in graph.tensors.items()}
    return dataclasses.replace(graph, layers=layers, tensors=tensors, submodels=submodels)


def _layer(graph, layer, flow, multiplier, expected) -> Layer:
    if layer.kind == "input":
        return layer
    config = dict(layer.origin.config)
    if layer.name in flow.made:
        config[_size_argument(layer)] = flow.counts.value(flow.made[layer.name], multiplier)
    if layer.name in flow.groups:
        config["groups"] = flow.counts.value(flow.groups[layer.name], multiplier)
    if layer.kind == "reshape":
        call = next(call for call in graph.calls if call.layer == layer.name)
        _reshape(config, expected[call.outputs[0]])
    if config.get("noise_shape") is not None:  # None: the size of the input
        config["noise_shape"] = tuple(1 if size == 1 else None for size in config["noise_shape"])
    config.pop("batch_input_shape", None)  # tf_keras writes it into the first layer of a Sequential model
    if "trainable" in config:
        config["trainable"] = True  # a frozen layer would keep its first random weights
    weights = layer.weights if layer.kind == "normalization" else {}
    origin = dataclasses.replace(layer.origin, config=config)
    return dataclasses.replace(layer, origin=origin, weights=weights, trainable=True)


def _size_argument(layer):
    """The argument that says how many channels a layer makes; of what has no kernel, only an embedding has one."""
    if layer.origin.class_name == "Embedding" or layer.kind not in TABLE:
        return "output_dim"
    kernel = TABLE[layer.kind].kernel
    return "filters" if kernel is None else kernel.size_argument


def _reshape(config, shape):
    """Writes a shape into the configuration of a reshaping layer or operation; inferred sizes stay inferred."""
    for name, sizes in (("target_shape", shape[1:]), ("newshape", shape)):
        if name in config:
            config[name] = tuple(old if old == -1 else new for old, new in zip(config[name], sizes, strict=True))


def _inputs(submodel, expected):
    """Returns the configuration of a nested model with other input channels."""
    names = names_in(submodel.inputs)
    inputs = []
    for config, name in zip(submodel.config["inputs"], names, strict=True):
        key, shape = ("batch_shape", expected[name]) if "batch_shape" in config else ("shape", expected[name][1:])
        inputs.append({**config, key: shape})
    return {**submodel.config, "inputs": inputs}


def _check_shapes(graph, scaled, expected):
    """Raises `ValueError` unless the new model has the expected shapes; a layer may differ from its kind."""
    for call in graph.calls:
        for name in call.outputs:
            received = scaled.tensors[name].shape
            if received != expected[name]:
                raise ValueError(
                    f"Layer `{call.layer}` ({graph.layer_of(call).origin.class_name}) does not follow the "
                    f"channels of its input: expected an output of shape {expected[name]}, received {received}. Name "
                    "it in `keep`: its output then keeps its channels."
                )
