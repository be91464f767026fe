"""What a file holds beside its kernels."""

from tfmp.costs.operation_sizes import OperationSizes
from tfmp.types import Graph, Layer
from tfmp.types.file_size import FileSize

_UNCHANGED = ("identity", "relu")
_MOVING = {  # operator, and how many constants say what it does
    "reshape": ("RESHAPE", 1),
    "concatenate": ("CONCATENATION", 0),
    "pad": ("PAD", 1),
    "crop": ("SLICE", 2),
    "permute": ("TRANSPOSE", 1),
    "max_pool": ("MAX_POOL_2D", 0),
    "global_max_pool": ("MAX_POOL_2D", 0),
    "repeat": ("CONCATENATION", 0),
    "upsample": ("CONCATENATION", 0),
}
_COPYING = ("repeat", "upsample")
_ON_ONE_GRID = {"softmax": "SOFTMAX", "sigmoid": "LOGISTIC", "tanh": "TANH"}
_SCALAR = ("affine", "hard_sigmoid")
_AFFINE = ("batch_normalization", "normalization", *_SCALAR)
_ELEMENTWISE = {"add": "ADD", "subtract": "SUB", "multiply": "MUL"}
_PRODUCTS = {
    "conv2d": "CONV_2D",
    "conv1d": "CONV_2D",
    "depthwise_conv2d": "DEPTHWISE_CONV_2D",
    "depthwise_conv1d": "DEPTHWISE_CONV_2D",
    "conv2d_transpose": "TRANSPOSE_CONV",
    "dense": "FULLY_CONNECTED",
}


def file_structure(graph: Graph) -> FileSize:
    """Counts operators, tensors, scales and biases of a quantized network, its layers fixed or open.

    The codes of the layers' kernels are not among them.
    """
    structure = _Structure(graph)
    structure.run()
    return structure.made.size


class _Structure:
    """Demands tensor after tensor, as folding does.

    A tensor is made once for every grid that a reader wants. Two layers have one grid only if both keep the range of
    one tensor: learned steps differ.
    """

    def __init__(self, graph):
        self.made, self._graph, self._done = OperationSizes(), graph, set()

    def run(self):
        for name in self._graph.input_names:
            self.made.size.tensor(name, self._shape(name))
        for call in self._graph.calls:
            layer = self._graph.layer_of(call)
            if layer.is_quantized:
                self._demand(call.inputs[0], _own_grid(layer, call))
        for name in self._graph.output_names:
            self._demand(name, self._stored_grid(name))
            self.made.size.operator("DEQUANTIZE", 1)
            self.made.size.tensor(f"{name}_output", self._shape(name))

    def _shape(self, tensor):
        return self._graph.tensors[tensor].shape

    def _demand(self, tensor, grid):
        if (tensor, grid) in self._done:
            return
        self._done.add((tensor, grid))
        call = self._graph.producer(tensor)
        layer = self._graph.layer_of(call)
        own, sources = _own_grid(layer, call), call.inputs
        if layer.kind == "input":
            self.made.add("QUANTIZE", f"{tensor}_codes", self._shape(tensor), grid)
        elif layer.kind in _UNCHANGED:
            self._demand(sources[0], grid)
        elif layer.kind == "quantize":
            self._demand(sources[0], own)
            self._requantize(tensor, own, grid)
        elif layer.kind in _MOVING:
            for source in sources:
                self._demand(source, grid)
            self._move(layer, call, grid)
        elif layer.kind in _PRODUCTS:
            self._demand(sources[0], own)
            self._multiply(layer, call, grid)
        elif layer.kind in _AFFINE:
            self._map(layer, call, grid)
        else:
            for source in sources:
                self._demand(source, self._stored_grid(source))
            self._compute(layer, call, grid)

    def _stored_grid(self, tensor):
        """The grid of a tensor that its reader does not quantize."""
        while True:
            call = self._graph.producer(tensor)
            layer = self._graph.layer_of(call)
            moves = layer.kind in _UNCHANGED or (layer.kind in _MOVING and layer.kind != "concatenate")
            if not (call.inputs and moves):
                return _own_grid(layer, call)
            tensor = call.inputs[0]

    def _requantize(self, tensor, own, grid):
        if own != grid:
            self.made.scale(f"{tensor}_requantized", self._shape(tensor), grid, number="one", source=own)

    def _move(self, layer, call, grid):
        (kind, arguments), made, shape = _MOVING[layer.kind], self.made, self._shape(call.outputs[0])
        value = layer.attributes.get("paddings", layer.attributes.get("permutation"))
        planar = layer.kind.endswith("pool") and len(self._shape(call.inputs[0])) != 4
        flat = layer.kind == "global_max_pool" and len(shape) != 4
        for _ in layer.attributes.get("factors", (1,)) if layer.kind in _COPYING else (1,):
            if layer.kind in _COPYING or planar:
                made.reshape(f"{layer.name}_rows", (layer.name, *shape), grid)
            made.add(kind, layer.name, shape, grid, num_inputs=len(call.inputs), arguments=arguments, value=value)
            if layer.kind in _COPYING or planar or flat:
                made.reshape(f"{layer.name}_values", shape, grid)

    def _multiply(self, layer, call, grid):
        shape, name, made = self._shape(call.outputs[0]), layer.name, self.made
        if name not in made:  # further calls read the same constants
            made.constants(name, (layer.shape.out_channels, *layer.shape.kernel_size, name), layer.shape.out_channels)
        one_axis = layer.kind.endswith("1d")
        if one_axis:
            made.reshape(f"{name}_image", (None, 1, *self._shape(call.inputs[0])[1:]), name)
            if layer.attributes.get("padding") == "causal":
                made.add("PAD", f"{name}_padding", (name, *shape), name, arguments=1)
        arguments = 1 if layer.kind == "conv2d_transpose" else 0
        made.add(_PRODUCTS[layer.kind], name, shape, grid, num_inputs=3, arguments=arguments)
        if one_axis:
            made.reshape(f"{name}_sequence", shape, grid)

    def _map(self, layer, call, grid):
        """An affine map, which the product before it computes along, or the one operation of several in a row."""
        source = tensor = call.inputs[0]
        scalar = layer.kind in _SCALAR
        while len(self._graph.readers(tensor)) == 1 and tensor not in self._graph.output_names:
            before = self._graph.producer(tensor)
            kind = self._graph.layer_of(before).kind
            if kind in _PRODUCTS:
                self._demand(tensor, grid)
                return
            if kind not in _AFFINE and kind != "identity" and not (kind == "relu" and scalar):
                break
            tensor = before.inputs[0]
            if kind in _AFFINE:
                source, scalar = tensor, scalar and kind in _SCALAR
        self._demand(source, self._stored_grid(source))
        self.made.scale(layer.name, self._shape(call.outputs[0]), grid, source=self._stored_grid(source))

    def _compute(self, layer, call, grid):
        name, kind, made = layer.name, layer.kind, self.made
        (tensor,), source = call.outputs, self._stored_grid(call.inputs[0]) if call.inputs else None
        shape = self._shape(tensor)
        if kind in _ON_ONE_GRID:
            made.add(_ON_ONE_GRID[kind], name, shape, name)
            self._requantize(tensor, name, grid)
        elif kind == "average_pool" and layer.attributes.get("padding", "valid") == "valid":
            window = layer.attributes["pool_size"]
            window = tuple(window) if hasattr(window, "__len__") else (window,)
            made.scale(name, shape, grid, number="one", source=source, window=window)
        elif kind == "average_pool":
            made.add("AVERAGE_POOL_2D", name, shape, source)
            self._requantize(tensor, source, grid)
        elif kind == "mean":
            made.add("MEAN", name, shape, grid, arguments=1, value="height and width")
        elif kind == "swish":
            made.add("LOGISTIC", f"{name}_gate", shape, "sigmoid")
            made.add("MUL", name, shape, grid, num_inputs=2)
        elif kind == "hard_swish":
            made.scale(f"{name}_gate", shape, "hard_sigmoid", number="one sixth", source=source)
            made.add("MUL", name, shape, grid, num_inputs=2)
        elif kind == "prelu":
            of_channels = layer.num_parameters == shape[-1]
            flat = shape if of_channels else (None, layer.num_parameters)
            made.scale(f"{name}_positive", flat, grid, number="one", source=source)
            made.scale(f"{name}_negative", flat, f"{name}_negative", number="one", source=source)
            made.scale(f"{name}_scaled", flat, grid, source=source)
            made.add("ADD", name if of_channels else f"{name}_sum", flat, grid, num_inputs=2)
            if not of_channels:
                made.reshape(f"{name}_values", flat, source)
                made.reshape(name, shape, grid)
        else:
            made.add(_ELEMENTWISE.get(kind, kind), name, shape, grid, num_inputs=len(call.inputs))


def _own_grid(layer: Layer, call):
    """What is equal for layers whose inputs lie on one grid."""
    selection = layer.activation
    if selection.quantizer == "moving_range" and call.inputs:
        return call.inputs[0], selection.bits, selection.signed
    return layer.name
