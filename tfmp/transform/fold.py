"""From a fixed model to the network of integers that it is."""

from tfmp.bindings import binding
from tfmp.transform.activation_grid import activation_grid
from tfmp.transform.folded_product import folded_normalization, folded_product
from tfmp.transform.integer_builder import Codes, IntegerBuilder
from tfmp.transform.normalization import channel_axis, fusable_normalization
from tfmp.transform.signature_names import signature_inputs, signature_outputs
from tfmp.types import Graph, Grid, IntegerGraph
from tfmp.types.weight_storage import check_mode

_PROBABILITIES = Grid(1 / 256, 0, 255)
_PRODUCTS = ("conv2d", "depthwise_conv2d", "dense", "conv1d")
_FUSED_ACTIVATIONS = {"linear": None, "relu": None, "relu6": 6.0}
_PASSING = ("relu", "identity", "max_pool", "global_max_pool", "pad", "reshape")
# The runtime adds tensors whose scale is at least 2**-10 times the sum's.
_SMALLEST_ADDEND = 2.0**-9


def fold(fixed, *, mode="fast"):
    """Returns the inference model of a fixed model: the same integers and the same roundings as its file.

    Normalization is folded into per-channel scales, biases lie on the int32 grid of the accumulators, and every
    operator rounds once, as the runtime does. `fixed` itself stays trainable and is not changed.

    Args:
        fixed: What `tfmp.fix` returned, or a model of `tfmp.layers` with one candidate each.
        mode: That of the file, `"fast"` or `"small"`: packed weights leave their biases a coarser grid.

    Returns:
        A model of the same framework with the same inputs; several outputs come as a dict, by the names that the file
        has for them. It cannot be trained.

    Raises:
        ValueError: If bits are still open, a range was never calibrated, a tensor is not quantized, or a layer has no
            integer form; the message names it.

    Example:
        >>> np.mean(tfmp.fold(fixed).predict(x) == fixed.predict(x))
    """
    return binding.of(fixed).write_integer(fold_graph(binding.of(fixed).read(fixed), mode=mode))


def fold_graph(graph: Graph, *, mode: str = "fast") -> IntegerGraph:
    """Returns the integer network of a fixed network; see `fold`."""
    check_mode(mode)
    check_fixed(graph)
    for layer in graph.in_order():
        if layer.kind in _PRODUCTS:
            _check_product(layer)
    return _Folder(graph, mode).run()


def check_fixed(graph: Graph):
    """Raises `ValueError` if bits are still open, or nothing is quantized."""
    if graph.searched:
        names = ", ".join(layer.name for layer in graph.searched)
        raise ValueError(
            f"The bits of these layers are still open: {names}. Call `tfmp.discretize` and `tfmp.fix` first."
        )
    if not any(layer.is_quantized for layer in graph.layers.values()):
        raise ValueError(f"Model `{graph.name}` has no quantized layer. Expected what `tfmp.fix` returned.")


def _check_product(layer):
    if layer.weight.formats[0].is_float or layer.activation.formats[0].is_float:
        raise ValueError(
            f"Layer `{layer.name}` has its weights or its input in floating point, which a network of integers cannot "
            'hold. Give it bits for both; `tfmp.relax` does unless `first_and_last="float"`.'
        )
    if layer.attributes.get("data_format") == "channels_first":
        raise ValueError(
            f"Layer `{layer.name}` has its channels first, which the runtime has no kernels for. Build the model with "
            '`data_format="channels_last"`.'
        )
    activation = layer.attributes.get("activation", "linear")
    if activation not in _FUSED_ACTIVATIONS:
        raise ValueError(
            f"Layer `{layer.name}`: the activation {activation!r} is no part of an integer operator. Expected one of "
            f"{', '.join(_FUSED_ACTIVATIONS)}; make it a layer of its own, as `tfmp.relax` does."
        )


class _Folder:
    """Demands every tensor with the codes that its reader wants."""

    def __init__(self, graph: Graph, mode: str):
        self.graph, self.mode, self.builder, self.done = graph, mode, IntegerBuilder(), {}
        self.inputs = signature_inputs(graph)

    def run(self) -> IntegerGraph:
        for tensor, name in self.inputs.items():
            self.builder.input(name, self.graph.tensors[tensor].shape)
        # In the order of the network: a demand then finds what it reads and never reaches far back.
        for call in self.graph.calls:
            layer = self.graph.layer_of(call)
            if layer.is_quantized:
                self.demand(call.inputs[0], Codes.all_of(activation_grid(layer)))
        outputs = []
        for tensor in self.graph.output_names:
            stored = self.stored(tensor, "the output of the model")
            shape = self.graph.tensors[tensor].shape
            outputs.append(self.builder.add("dequantize", (stored,), f"{tensor}_output", shape, None))
        return self.builder.graph(self.graph.name, self.inputs.values(), outputs, signature_outputs(self.graph))

    def demand(self, tensor, codes):
        """Returns the name of the integer tensor that holds a tensor of the graph with these codes."""
        key = (tensor, codes)
        if key not in self.done:
            self.done[key] = self._make(tensor, codes)
        return self.done[key]

    def stored(self, tensor, reader):
        """Returns the name of the integer tensor of a tensor that the graph itself quantizes.

        Raises:
            ValueError: If nothing quantizes it.
        """
        return self.demand(tensor, Codes.all_of(self._stored_grid(tensor, reader)))

    def _stored_grid(self, tensor, reader):
        source = tensor
        while self.graph.layer_of(self.graph.producer(source)).kind in _PASSING:
            source = self.graph.producer(source).inputs[0]
        layer = self.graph.layer_of(self.graph.producer(source))
        if layer.kind == "quantize":
            return activation_grid(layer)
        if layer.kind == "softmax":
            return _PROBABILITIES
        raise ValueError(
            f"Tensor `{tensor}` is read by {reader} but nothing quantizes it. Models made by `tfmp.relax` have a "
            "quantizer there; in a model built by hand, put a `tfmp.layers.Quantize` behind it."
        )

    def _make(self, tensor, codes):
        call = self.graph.producer(tensor)
        layer = self.graph.layer_of(call)
        sources, shape = call.inputs, self.graph.tensors[tensor].shape
        builder, name = self.builder, layer.name
        match layer.kind:
            case "input":
                return builder.add("quantize", (self.inputs[tensor],), f"{tensor}_codes", shape, codes)
            case "identity":
                return self.demand(sources[0], codes)
            case "relu":
                return self.demand(sources[0], codes.rectified(layer.attributes.get("max_value")))
            case "quantize":
                own = Codes.all_of(activation_grid(layer))
                return self._on(codes, self.demand(sources[0], own), tensor, own)
            case "max_pool" | "pad" | "reshape" | "concatenate":
                parts = [self.demand(source, codes) for source in sources]
                return builder.add(layer.kind, parts, name, shape, codes, attributes=_attributes(layer), layer=name)
            case "global_max_pool":
                return builder.global_maximum(self.demand(sources[0], codes), name, shape, codes)
            case "softmax":
                own = Codes.all_of(_PROBABILITIES)
                made = builder.add("softmax", (self.stored(sources[0], name),), name, shape, own, layer=name)
                return self._on(codes, made, tensor, own)
            case "add":
                return self._sum(layer, sources, shape, codes)
            case "mean":
                attributes = {"keepdims": layer.attributes["keepdims"]}
                stored = self.stored(sources[0], name)
                return builder.add("mean", (stored,), name, shape, codes, attributes=attributes, layer=name)
            case "average_pool":
                return self._average(layer, sources[0], tensor, codes)
            case "batch_normalization":
                return self._normalized(layer, sources[0], tensor, codes)
            case _ if layer.kind in _PRODUCTS:
                return self._product(call, None, tensor, codes)
        raise ValueError(
            f"Layer `{name}` ({layer.config['class'].__name__}) has no integer form, so the model cannot be folded. "
            "Leave it out of the model that is exported, or replace it by layers that have one."
        )

    def _on(self, codes, made, tensor, own):
        """`made`, which holds the codes `own` of a tensor, on the codes that are wanted."""
        return made if codes == own else self.builder.requantized(made, f"{tensor}_requantized", codes)

    def _sum(self, layer, sources, shape, codes):
        if len(sources) != 2:
            raise ValueError(
                f"Layer `{layer.name}` adds {len(sources)} tensors, the runtime adds two. Add them in pairs, as "
                "`tfmp.relax` does where their shapes are equal."
            )
        parts = []
        for source in sources:
            part, grid = self.stored(source, layer.name), self._stored_grid(source, layer.name)
            if grid.scale < _SMALLEST_ADDEND * codes.grid.scale:
                coarse = Codes(Grid(_SMALLEST_ADDEND * codes.grid.scale, grid.low, grid.high), grid.low, grid.high)
                part = self.builder.requantized(part, f"{source}_requantized", coarse)
            parts.append(part)
        return self.builder.add("add", parts, layer.name, shape, codes, layer=layer.name)

    def _average(self, layer, source, tensor, codes):
        stored, attributes = self.stored(source, layer.name), _attributes(layer)
        shape = self.graph.tensors[tensor].shape
        if attributes["padding"] == "valid":
            return self.builder.full_average(stored, layer.name, shape, codes, attributes=attributes)
        own = Codes.all_of(self._stored_grid(source, layer.name))
        made = self.builder.add(
            "average_pool", (stored,), layer.name, shape, own, attributes=attributes, layer=layer.name
        )
        return self._on(codes, made, tensor, own)

    def _normalized(self, layer, source, tensor, codes):
        producer = self.graph.producer(source)
        if fusable_normalization(self.graph, producer) is layer:
            return self._product(producer, layer, tensor, codes)
        if channel_axis(layer) not in (-1, len(self.graph.tensors[tensor].shape) - 1):
            raise ValueError(
                f"Layer `{layer.name}` normalizes axis {channel_axis(layer)}. Expected the last, that of the channels."
            )
        stored, grid = self.stored(source, layer.name), self._stored_grid(source, layer.name)
        constants = folded_normalization(layer, grid.scale)
        return self.builder.scaled(stored, layer.name, codes, constants, layer=layer.name)

    def _product(self, call, normalization, tensor, codes):
        layer = self.graph.layer_of(call)
        activation = layer.attributes.get("activation", "linear")
        if activation != "linear":
            codes = codes.rectified(_FUSED_ACTIVATIONS[activation])
        own = activation_grid(layer)
        source = self.demand(call.inputs[0], Codes.all_of(own))
        constants, container_bits = folded_product(layer, normalization, own.scale, mode=self.mode)
        made = {"attributes": {**_attributes(layer), "container_bits": container_bits}, "constants": constants}
        shape = self.graph.tensors[tensor].shape
        if layer.kind == "conv1d":
            return self.builder.convolution_1d(source, layer.name, shape, codes, **made)
        return self.builder.add(layer.kind, (source,), layer.name, shape, codes, layer=layer.name, **made)


def _attributes(layer):
    """Of a layer, as `IntegerOperation` names and shapes them."""
    names = {"dilation_rate": "dilation"}
    wanted = ("strides", "padding", "pool_size", "dilation_rate", "groups", "axis", "paddings")
    found = {names.get(key, key): layer.attributes[key] for key in wanted if key in layer.attributes}
    for key in ("strides", "dilation", "pool_size"):
        if found.get(key) is not None:
            value = found[key]
            pair = tuple(value) if isinstance(value, list | tuple) else (value,)
            found[key] = (1, *pair) if layer.kind == "conv1d" else (pair * 2)[:2]
    if layer.kind in ("max_pool", "average_pool") and found.get("strides") is None:
        found["strides"] = found["pool_size"]
    return found
