"""From a fixed model to the network of integers that it is."""

import numpy as np
import tensorflow as tf

from tfmp import quantizers
from tfmp.bindings import binding
from tfmp.transform.folded_product import folded_product, passing_product, standalone_normalization
from tfmp.transform.normalization import fusable_normalization
from tfmp.types import Graph, Grid, IntegerGraph, IntegerOperation, IntegerTensor, Layer

_PROBABILITIES = Grid(1 / 256, 0, 255)
_PRODUCTS = ("conv2d", "depthwise_conv2d", "dense", "conv1d")


def fold(fixed):
    """Returns the inference model of a fixed model: the same integers and the same roundings as its file.

    Normalization is folded into per-channel scales, biases lie on the int32 grid of the accumulators, and every
    operator rounds once, as the runtime does. `fixed` itself stays trainable and is not changed.

    Args:
        fixed: What `tfmp.fix` returned, or a model of `tfmp.layers` with one candidate each.

    Returns:
        A model of the same framework with the same inputs and outputs; it cannot be trained.

    Raises:
        ValueError: If bits are still open, a range was never calibrated, a tensor is not quantized, or a layer has no
            integer form; the message names it.

    Example:
        >>> np.mean(tfmp.fold(fixed).predict(x) == fixed.predict(x))
    """
    return binding.of(fixed).write_integer(fold_graph(binding.of(fixed).read(fixed)))


def fold_graph(graph: Graph) -> IntegerGraph:
    """Returns the integer network of a fixed network; see `fold`."""
    _check_fixed(graph)
    return _Folder(graph).run()


def activation_grid(layer: Layer) -> Grid:
    """Returns the codes of the input of a quantized layer.

    Raises:
        ValueError: If its range was never calibrated, or no grid with a zero describes it.
    """
    selection = layer.activation
    quantizer = quantizers.get(selection.quantizer, bits=selection.bits[0], signed=selection.signed)
    prefix = "activation_selector/"
    state = {path.removeprefix(prefix): w for path, w in layer.weights.items() if path.startswith(prefix)}
    if selection.quantizer == "linear":
        raise ValueError(
            f"Layer `{layer.name}`: `linear` takes the range of an activation from every batch, which a file cannot. "
            'Use "moving_range" or "lsq" for activations, e.g. `quantizer=("linear", "moving_range")`.'
        )
    if "seen" in state and not state["seen"] > 0:
        raise ValueError(
            f"Layer `{layer.name}` was never calibrated: the range of its input is unknown. Give `tfmp.relax` "
            "calibration data, or train the model."
        )
    if quantizer.offset:
        raise ValueError(
            f"Layer `{layer.name}`: one signed bit has the levels -step and +step and no zero, which activations of a "
            "file need. Use 2 bits or more for inputs that can be negative."
        )
    levels = quantizer.grid(tf.zeros((1,)), state)
    return Grid(float(levels.step), int(levels.low), int(levels.high))


def _check_fixed(graph):
    if graph.searched:
        names = ", ".join(layer.name for layer in graph.searched)
        raise ValueError(
            f"The bits of these layers are still open: {names}. Call `tfmp.discretize` and `tfmp.fix` first."
        )
    if not any(layer.is_quantized for layer in graph.layers.values()):
        raise ValueError(f"Model `{graph.name}` has no quantized layer. Expected what `tfmp.fix` returned.")


class _Folder:
    """Demands every tensor on the grid that its reader wants, from the outputs backwards."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.operations, self.tensors, self.done = [], {}, {}

    def run(self) -> IntegerGraph:
        for name in self.graph.input_names:
            self.tensors[name] = IntegerTensor(name, self.graph.tensors[name].shape, None)
        outputs = []
        for tensor in self.graph.output_names:
            codes, _ = self.stored(tensor, "the output of the model")
            outputs.append(self.add("dequantize", (codes,), f"{tensor}_output", tensor, None))
        return IntegerGraph(
            self.graph.name,
            tuple(self.operations),
            self.tensors,
            self.graph.input_names,
            tuple(outputs),
            tuple(name.replace(":", "_") for name in self.graph.output_names),
        )

    def add(self, kind, inputs, name, like, grid, *, attributes=None, constants=None, clip=None, layer="", shape=None):
        """Adds an operation and returns the name of its output, shaped like a tensor of the graph."""
        unique, number = name, 0
        while unique in self.tensors:
            number += 1
            unique = f"{name}_{number}"
        attributes = dict(attributes or {})
        if grid is not None and clip is not None and clip != (grid.low, grid.high):
            attributes["low"], attributes["high"] = clip
        shape = self.graph.tensors[like].shape if shape is None else shape
        self.tensors[unique] = IntegerTensor(unique, tuple(shape), grid)
        self.operations.append(
            IntegerOperation(unique, kind, tuple(inputs), unique, attributes, dict(constants or {}), layer)
        )
        return unique

    def demand(self, tensor, grid, clip=None):
        """Returns the name of the integer tensor that holds a tensor of the graph on a grid, its codes clipped."""
        clip = clip or (grid.low, grid.high)
        key = (tensor, grid, clip)
        if key not in self.done:
            self.done[key] = self._make(tensor, grid, clip)
        return self.done[key]

    def _make(self, tensor, grid, clip):
        call = self.graph.producer(tensor)
        layer = self.graph.layer_of(call)
        source = call.inputs[0] if call.inputs else None
        name = layer.name if len(call.outputs) == 1 else tensor
        if layer.kind == "input":
            return self.add("quantize", (tensor,), f"{tensor}_codes", tensor, grid, clip=clip)
        if layer.kind == "identity":
            return self.demand(source, grid, clip)
        if layer.kind == "relu":
            return self.demand(source, grid, self._rectified(layer.attributes.get("max_value"), grid, clip))
        if layer.kind == "quantize":
            own = activation_grid(layer)
            codes = self.demand(source, own)
            return (
                codes if own == grid and clip == (own.low, own.high) else self._requantized(codes, tensor, grid, clip)
            )
        if layer.kind in ("max_pool", "pad", "reshape"):
            codes = self.demand(source, grid, clip)
            return self.add(
                layer.kind, (codes,), name, tensor, grid, attributes=self._attributes(layer), layer=layer.name
            )
        if layer.kind == "concatenate":
            codes = [self.demand(part, grid, clip) for part in call.inputs]
            return self.add(
                "concatenate", codes, name, tensor, grid, attributes=self._attributes(layer), layer=layer.name
            )
        if layer.kind == "softmax":
            codes, _ = self.stored(source, layer.name)
            made = self.add("softmax", (codes,), name, tensor, _PROBABILITIES, layer=layer.name)
            return made if grid == _PROBABILITIES else self._requantized(made, tensor, grid, clip)
        if layer.kind == "add" and len(call.inputs) == 2:
            codes = [self.stored(part, layer.name)[0] for part in call.inputs]
            return self.add("add", codes, name, tensor, grid, clip=clip, layer=layer.name)
        if layer.kind == "mean":
            codes, _ = self.stored(source, layer.name)
            attributes = {"keepdims": layer.attributes["keepdims"]}
            return self.add("mean", (codes,), name, tensor, grid, attributes=attributes, clip=clip, layer=layer.name)
        if layer.kind == "average_pool":
            return self._averaged(layer, source, tensor, grid, clip)
        if layer.kind == "batch_normalization":
            producer = self.graph.producer(source)
            if fusable_normalization(self.graph, producer) is layer:
                return self._product(producer, layer, tensor, grid, clip)
            codes, _ = self.stored(source, layer.name)
            return self._per_channel(codes, standalone_normalization(layer), name, tensor, grid, clip, layer.name)
        if layer.kind in _PRODUCTS and layer.is_quantized:
            return self._product(call, None, tensor, grid, clip)
        raise ValueError(
            f"Layer `{layer.name}` ({layer.kind}) has no integer form, so the model cannot be folded. "
            "Leave it out of the model that is exported, or replace it by layers that have one."
        )

    def stored(self, tensor, reader):
        """Returns `(integer tensor, grid)` of a tensor that the graph itself quantizes.

        Raises:
            ValueError: If nothing quantizes it.
        """
        call = self.graph.producer(tensor)
        layer = self.graph.layer_of(call)
        if layer.kind == "quantize":
            grid = activation_grid(layer)
        elif layer.kind == "softmax":
            grid = _PROBABILITIES
        elif layer.kind in ("relu", "identity", "max_pool", "pad", "reshape"):
            grid = self.stored(call.inputs[0], reader)[1]
        else:
            raise ValueError(
                f"Tensor `{tensor}` is read by {reader} but nothing quantizes it. Models made by `tfmp.relax` have a "
                "quantizer there; in a model built by hand, put a `tfmp.layers.Quantize` behind it."
            )
        return self.demand(tensor, grid), grid

    def _product(self, call, normalization, tensor, grid, clip):
        layer = self.graph.layer_of(call)
        own = activation_grid(layer)
        if layer.attributes.get("activation") in ("relu", "relu6"):
            clip = self._rectified(6.0 if layer.attributes["activation"] == "relu6" else None, grid, clip)
        codes = self.demand(call.inputs[0], own)
        constants = folded_product(layer, normalization, own.scale)
        attributes = self._attributes(layer)
        if layer.kind != "conv1d":
            return self.add(
                layer.kind,
                (codes,),
                layer.name,
                tensor,
                grid,
                attributes=attributes,
                constants=constants,
                clip=clip,
                layer=layer.name,
            )
        return self._product_in_one_dimension(layer, codes, own, attributes, constants, tensor, grid, clip)

    def _product_in_one_dimension(self, layer, codes, own, attributes, constants, tensor, grid, clip):
        """A 1D convolution as a 2D one of height 1, its causal padding ahead of it."""
        batch, length, channels = self.tensors[codes].shape
        image = self.add("reshape", (codes,), f"{layer.name}_image", tensor, own, shape=(batch, 1, length, channels))
        if attributes["padding"] == "causal":
            before = (layer.shape.kernel_size[1] - 1) * attributes["dilation"][1]
            image = self.add(
                "pad",
                (image,),
                f"{layer.name}_padding",
                tensor,
                own,
                attributes={"paddings": ((0, 0), (before, 0))},
                shape=(batch, 1, length + before, channels),
            )
            attributes = {**attributes, "padding": "valid"}
        batch, positions, filters = self.graph.tensors[tensor].shape
        made = self.add(
            "conv2d",
            (image,),
            layer.name,
            tensor,
            grid,
            attributes=attributes,
            constants=constants,
            clip=clip,
            layer=layer.name,
            shape=(batch, 1, positions, filters),
        )
        return self.add("reshape", (made,), f"{layer.name}_sequence", tensor, grid)

    def _requantized(self, codes, tensor, grid, clip):
        """The same values on another grid: an identity per channel."""
        channels = self.graph.tensors[tensor].shape[-1]
        constants = passing_product(channels)
        return self._per_channel(codes, constants, f"{tensor}_requantized", tensor, grid, clip, "")

    def _per_channel(self, codes, constants, name, tensor, grid, clip, layer):
        """A product per channel, as a depthwise convolution whatever the rank.

        `constants` has a kernel of codes, its scale and a real-valued bias, `[channels]` each.
        """
        shape = self.graph.tensors[tensor].shape
        source_grid = self.tensors[codes].grid
        kernel, scale = constants["kernel"], constants["kernel_scale"]
        bias = np.rint(constants["bias"] / (np.float64(source_grid.scale) * scale))
        image = (shape[0], *(1,) * (4 - len(shape)), *shape[1:]) if len(shape) < 4 else shape
        if len(shape) < 4:
            codes = self.add("reshape", (codes,), f"{name}_image", tensor, source_grid, shape=image)
        made = self.add(
            "depthwise_conv2d",
            (codes,),
            name,
            tensor,
            grid,
            attributes={"strides": (1, 1), "padding": "valid", "dilation": (1, 1)},
            constants={
                "kernel": kernel.astype(np.int8).reshape(1, 1, -1, 1),
                "kernel_scale": scale.astype(np.float32),
                "bias": bias.astype(np.int32),
            },
            clip=clip,
            layer=layer,
            shape=image,
        )
        return self.add("reshape", (made,), f"{name}_values", tensor, grid) if len(shape) < 4 else made

    def _averaged(self, layer, source, tensor, grid, clip):
        codes, own = self.stored(source, layer.name)
        attributes = self._attributes(layer)
        if attributes["padding"] == "same":
            made = self.add("average_pool", (codes,), layer.name, tensor, own, attributes=attributes, layer=layer.name)
            return made if own == grid and clip == (own.low, own.high) else self._requantized(made, tensor, grid, clip)
        pool, channels = attributes["pool_size"], self.graph.tensors[tensor].shape[-1]
        return self.add(
            "depthwise_conv2d",
            (codes,),
            layer.name,
            tensor,
            grid,
            attributes={"strides": attributes["strides"], "padding": "valid", "dilation": (1, 1)},
            constants={
                "kernel": np.ones((*pool, channels, 1), np.int8),
                "kernel_scale": np.full(channels, 1 / np.prod(pool), np.float32),
                "bias": np.zeros(channels, np.int32),
            },
            clip=clip,
            layer=layer.name,
        )

    @staticmethod
    def _rectified(max_value, grid, clip):
        high = clip[1] if max_value is None else min(clip[1], int(np.rint(max_value / grid.scale)))
        return max(clip[0], 0), max(high, 1)

    def _attributes(self, layer):
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
