"""What a file holds beside its kernels."""

import itertools
import math

from tfmp.types import Graph, Layer
from tfmp.types.file_size import FileSize

_UNCHANGED = ("identity", "relu")
_MOVING = {
    "reshape": "RESHAPE",
    "concatenate": "CONCATENATION",
    "pad": "PAD",
    "crop": "SLICE",
    "permute": "TRANSPOSE",
    "max_pool": "MAX_POOL_2D",
    "global_max_pool": "MAX_POOL_2D",
    "repeat": "CONCATENATION",
    "upsample": "CONCATENATION",
}
_ON_ONE_GRID = {"softmax": "SOFTMAX", "sigmoid": "LOGISTIC", "tanh": "TANH"}
_AFFINE = ("batch_normalization", "affine", "normalization", "hard_sigmoid")
_ELEMENTWISE = {"add": "ADD", "subtract": "SUB", "multiply": "MUL", "mean": "MEAN"}
_PRODUCTS = {
    "conv2d": "CONV_2D",
    "conv1d": "CONV_2D",
    "depthwise_conv2d": "DEPTHWISE_CONV_2D",
    "depthwise_conv1d": "DEPTHWISE_CONV_2D",
    "conv2d_transpose": "TRANSPOSE_CONV",
    "dense": "FULLY_CONNECTED",
}
_ARGUMENTS = {"PAD": "paddings", "MEAN": "axes", "TRANSPOSE": "permutation", "SLICE": "begin"}
_BIAS_BYTES = 4


class FileStructure:
    """Counts operators, tensors, scales and biases of a quantized network, demand by demand, as folding makes them.

    A tensor is made once for every grid that a reader wants. Two layers have one grid only if both keep the range of
    one tensor: learned steps differ.

    Args:
        graph: The network, its layers fixed or open.

    Attributes:
        size: A `FileSize` with all of it but the kernels' codes.
    """

    def __init__(self, graph: Graph):
        self.size = FileSize()
        self._graph, self._done, self._names = graph, set(), set()
        for name in graph.input_names:
            self.size.tensor(name, graph.tensors[name].shape)
        for call in graph.calls:
            layer = graph.layer_of(call)
            if layer.is_quantized:
                self._demand(call.inputs[0], _own_grid(layer, call))
        for name in graph.output_names:
            self._demand(name, self._stored_grid(name))
            self.size.operator("DEQUANTIZE", 1)
            self.size.tensor(f"{name}_output", graph.tensors[name].shape)

    def _demand(self, tensor, grid):
        if (tensor, grid) in self._done:
            return
        self._done.add((tensor, grid))
        call = self._graph.producer(tensor)
        layer = self._graph.layer_of(call)
        sources = call.inputs
        if layer.kind == "input":
            self._add("QUANTIZE", f"{tensor}_codes", tensor, grid)
        elif layer.kind in _UNCHANGED:
            self._demand(sources[0], grid)
        elif layer.kind == "quantize":
            self._demand(sources[0], _own_grid(layer, call))
            self._requantize(tensor, _own_grid(layer, call), grid)
        elif layer.kind in _MOVING:
            for source in sources:
                self._demand(source, grid)
            self._move(layer, call, tensor, grid)
        elif layer.kind in _PRODUCTS:
            self._demand(sources[0], _own_grid(layer, call))
            self._multiply(layer, tensor, grid)
        elif layer.kind in _AFFINE and self._is_folded(sources[0]):
            self._demand(sources[0], grid)
        else:
            for source in sources:
                self._demand(source, self._stored_grid(source))
            self._compute(layer, call, tensor, grid)

    def _stored_grid(self, tensor):
        """Name of the layer whose grid a tensor lies on that its reader does not quantize."""
        while True:
            call = self._graph.producer(tensor)
            kind = self._graph.layer_of(call).kind
            if kind == "quantize":
                return _own_grid(self._graph.layer_of(call), call)
            if not call.inputs or not (kind in _UNCHANGED or (kind in _MOVING and kind != "concatenate")):
                return call.layer
            tensor = call.inputs[0]

    def _is_folded(self, tensor):
        """True if what makes a tensor computes the affine map that alone reads it, too."""
        call = self._graph.producer(tensor)
        kind = self._graph.layer_of(call).kind
        if len(self._graph.readers(tensor)) > 1 or tensor in self._graph.output_names:
            return False
        return kind in _PRODUCTS or (kind in _AFFINE and self._is_folded(call.inputs[0]))

    def _add(self, kind, name, tensor, grid, *, num_inputs=1, arguments=0, shape=None):
        """An operator, the tensor that it writes, and constants of its own that say what it does."""
        shape = self._graph.tensors[tensor].shape if shape is None else shape
        name = self._unused(name)
        self.size.operator(kind, num_inputs + arguments)
        self.size.tensor(name, shape, grid=grid)
        for argument in range(arguments):
            content = shape if kind == "RESHAPE" else (kind, name, argument)
            if self.size.is_new(("argument", content)):
                self.size.constant(f"{name}/{_ARGUMENTS.get(kind, 'shape')}", (4,))
                self.size.content(content, 16)

    def _unused(self, name):
        names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(1)))
        name = next(each for each in names if each not in self._names)
        self._names.add(name)
        return name

    def _constants(self, name, kernel_shape, channels):
        """A kernel, but for its codes, and a bias."""
        self.size.constant(f"{name}/kernel", kernel_shape, scales=channels)
        self.size.constant(f"{name}/bias", (channels,), scales=channels)
        self.size.content((name, "bias"), _BIAS_BYTES * channels)

    def _ones(self, name, kernel_shape, channels, source):
        """A kernel of ones without bias: one serves all that have its shape, one bias all that read the same grid."""
        if self.size.is_new(("ones", kernel_shape)):
            self.size.constant(f"{name}/kernel", kernel_shape, scales=channels)
            self.size.content(("ones", kernel_shape), math.prod(kernel_shape))
        if self.size.is_new(("zeros", channels, source)):
            self.size.constant(f"{name}/bias", (channels,), scales=channels)
            self.size.content(("zeros", channels), _BIAS_BYTES * channels)

    def _multiply(self, layer: Layer, tensor, grid):
        shape, name = self._graph.tensors[tensor].shape, layer.name
        if name not in self._names:  # further calls read the same constants
            self._constants(name, (layer.shape.out_channels, *layer.shape.kernel_size, 1), layer.shape.out_channels)
        one_axis = layer.kind.endswith("1d")
        if one_axis:
            self._add("RESHAPE", f"{name}_image", tensor, grid, arguments=1)
            if layer.attributes.get("padding") == "causal":
                self._add("PAD", f"{name}_padding", tensor, grid, arguments=1)
        arguments = 1 if layer.kind == "conv2d_transpose" else 0
        self._add(_PRODUCTS[layer.kind], name, tensor, grid, num_inputs=3, arguments=arguments)
        if one_axis:
            self._add("RESHAPE", f"{name}_sequence", tensor, grid, arguments=1, shape=shape)

    def _requantize(self, tensor, own, grid):
        if own != grid:
            self._scale(f"{tensor}_requantized", tensor, grid, ones_of=own)

    def _scale(self, name, tensor, grid, *, ones_of=None, window=(1, 1)):
        """A depthwise convolution, which takes images; by ones if `ones_of` names the grid that it reads."""
        shape = self._graph.tensors[tensor].shape
        if len(shape) != 4:
            self._add("RESHAPE", f"{name}_image", tensor, grid, arguments=1, shape=(None, 1, *shape[1:]))
        if ones_of is None:
            self._constants(name, (1, *window, shape[-1]), shape[-1])
            self.size.content((name, "kernel"), shape[-1])
        else:
            self._ones(name, (1, *window, shape[-1]), shape[-1], ones_of)
        self._add("DEPTHWISE_CONV_2D", name, tensor, grid, num_inputs=3)
        if len(shape) != 4:
            self._add("RESHAPE", f"{name}_values", tensor, grid, arguments=1)

    def _move(self, layer, call, tensor, grid):
        kind, arguments = _MOVING[layer.kind], {"pad": 1, "reshape": 1, "permute": 1, "crop": 2}.get(layer.kind, 0)
        shape = self._graph.tensors[tensor].shape
        repeated = layer.attributes.get("factors", (1,)) if layer.kind in ("repeat", "upsample") else ()
        planar = layer.kind.endswith("pool") and len(self._graph.tensors[call.inputs[0]].shape) != 4
        for _ in [*repeated, *([0] if planar else [])]:
            self._add("RESHAPE", f"{layer.name}_rows", tensor, grid, arguments=1)
        for _ in repeated or (1,):
            self._add(kind, layer.name, tensor, grid, num_inputs=len(call.inputs), arguments=arguments)
        for _ in [*repeated, *([0] if planar or (layer.kind == "global_max_pool" and len(shape) != 4) else [])]:
            self._add("RESHAPE", f"{layer.name}_values", tensor, grid, arguments=1)

    def _compute(self, layer, call, tensor, grid):
        name, num_inputs = layer.name, len(call.inputs)
        if layer.kind in _AFFINE:
            self._scale(name, tensor, grid)
        elif layer.kind in _ON_ONE_GRID:
            self._add(_ON_ONE_GRID[layer.kind], name, tensor, layer.name)
            self._requantize(tensor, layer.name, grid)
        elif layer.kind == "average_pool" and layer.attributes.get("padding", "valid") == "valid":
            window = layer.attributes["pool_size"]
            window = tuple(window) if hasattr(window, "__len__") else (window,)
            self._scale(name, tensor, grid, ones_of=self._stored_grid(call.inputs[0]), window=window)
        elif layer.kind == "average_pool":
            self._add("AVERAGE_POOL_2D", name, tensor, grid)
            self._requantize(tensor, self._stored_grid(call.inputs[0]), grid)
        elif layer.kind == "swish":
            self._add("LOGISTIC", f"{name}_gate", tensor, "sigmoid")
            self._add("MUL", name, tensor, grid, num_inputs=2)
        elif layer.kind == "hard_swish":
            self._scale(f"{name}_gate", tensor, "hard_sigmoid")
            self._add("MUL", name, tensor, grid, num_inputs=2)
        elif layer.kind == "prelu":
            source = self._stored_grid(call.inputs[0])
            self._scale(f"{name}_positive", tensor, grid, ones_of=source)
            self._scale(f"{name}_negative", tensor, f"{name}_negative", ones_of=source)
            self._scale(f"{name}_scaled", tensor, grid)
            self._add("ADD", name, tensor, grid, num_inputs=2)
        else:
            kind = _ELEMENTWISE.get(layer.kind, layer.kind)
            self._add(kind, name, tensor, grid, num_inputs=num_inputs, arguments=int(layer.kind == "mean"))


def _own_grid(layer: Layer, call):
    """What is equal for layers whose inputs lie on one grid."""
    selection = layer.activation
    if selection.quantizer == "moving_range":
        return call.inputs[0], selection.bits, selection.signed
    return layer.name
