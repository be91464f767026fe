"""What a file holds beside its kernels."""

import numpy as np

from tfmp.costs.operation_sizes import OperationSizes
from tfmp.graph import Graph, Layer
from tfmp.graph.integer_graph import COMPARISONS, NUMBER_OPERATIONS, compared_type

_UNCHANGED = ("identity", "relu")
_MOVING = {  # operator, and how many constants say what it does
    "reshape": ("RESHAPE", 1),
    "concatenate": ("CONCATENATION", 0),
    "pad": ("PAD", 1),
    "crop": ("SLICE", 2),
    "permute": ("TRANSPOSE", 1),
    "max_pool": ("MAX_POOL_2D", 0),
    "global_max_pool": ("MAX_POOL_2D", 0),
}
_COPYING = ("repeat", "upsample")
_ON_ONE_GRID = {"softmax": "SOFTMAX", "sigmoid": "LOGISTIC", "tanh": "TANH"}
_SIGMOID, _RAMP = ("of the runtime", "sigmoid"), ("of the runtime", "hard_sigmoid")  # no name of a layer
_SCALAR = ("affine", "hard_sigmoid")
_AFFINE = ("batch_normalization", "normalization", *_SCALAR)
_ELEMENTWISE = {"add": "ADD", "subtract": "SUB", "multiply": "MUL"}
_INDICES = ("arg_max", "arg_min")
_NUMBERS = ("input", *NUMBER_OPERATIONS)
_PRODUCTS = {
    "conv2d": "CONV_2D",
    "conv1d": "CONV_2D",
    "depthwise_conv2d": "DEPTHWISE_CONV_2D",
    "depthwise_conv1d": "DEPTHWISE_CONV_2D",
    "conv2d_transpose": "TRANSPOSE_CONV",
    "dense": "FULLY_CONNECTED",
}


def file_structure(graph: Graph) -> OperationSizes:
    """Returns the operations of a network, its layers fixed or open, with the size of all but the codes of kernels.

    Tensors that a layer in floating point reads, and all of a network without quantized layers, have no grid.
    """
    structure = _Structure(graph)
    structure.run()
    return structure.made


class _Structure:
    """Demands tensor after tensor, as folding does.

    A tensor is made once for every grid that a reader wants. Two layers have one grid only if both keep the range of
    one tensor: learned steps differ.
    """

    def __init__(self, graph):
        self.made, self._graph, self._held, self._held_numbers = OperationSizes(), graph, {}, {}
        self._is_floating = not any(layer.is_quantized for layer in graph.layers.values())

    def run(self):
        for name in self._graph.input_names:
            self.made.size.tensor(name, self._shape(name))
        # In the order of the network: a demand then finds what it reads and never reaches far back.
        for call in self._graph.calls:
            layer = self._graph.layer_of(call)
            grid = self._own_grid(layer, call)
            if layer.is_quantized:
                self.made.owners.setdefault(grid, layer.name)
            if layer.is_quantized or (self._is_floating and layer.kind in _PRODUCTS):
                self._demand(call.inputs[0], grid)
        for name in self._graph.output_names:
            if self._layer_of(name).kind in _NUMBERS:
                self.made.outputs.append(self._numbers(name))
                continue
            stored = self._demand(name, self._stored_grid(name))
            if not self._is_floating:
                stored = self.made.add("DEQUANTIZE", [stored], f"{name}_output", self._shape(name), None)
            self.made.outputs.append(stored)

    def _layer_of(self, tensor):
        return self._graph.layer_of(self._graph.producer(tensor))

    def _shape(self, tensor):
        return self._graph.tensors[tensor].shape

    def _demand(self, tensor, grid):
        """Returns the name of the tensor that holds one of the graph's on a grid."""
        if (tensor, grid) not in self._held:
            self._held[tensor, grid] = self._make(tensor, grid)
        return self._held[tensor, grid]

    def _make(self, tensor, grid):
        call = self._graph.producer(tensor)
        layer = self._graph.layer_of(call)
        own, sources = self._own_grid(layer, call), call.inputs
        if layer.kind in _NUMBERS:
            return self._quantized(tensor, layer, grid)
        if layer.kind in _UNCHANGED:
            return self._demand(sources[0], grid)
        if layer.kind == "quantize":
            return self._requantized(tensor, self._demand(sources[0], own), own, grid)
        if layer.kind in _COPYING:
            return self._copy(layer, call, self._demand(sources[0], grid), grid)
        if layer.kind in _MOVING:
            return self._move(layer, call, [self._demand(source, grid) for source in sources], grid)
        if layer.kind in _PRODUCTS:
            return self._multiply(layer, call, self._demand(sources[0], own), grid)
        if layer.kind in _AFFINE:
            return self._map(layer, call, grid)
        read = [self._demand(source, self._stored_grid(source)) for source in sources]
        return self._compute(layer, call, read, grid)

    def _quantized(self, tensor, layer, grid):
        """Numbers as codes; integers of 8 bits are some already."""
        if grid is None:
            return self._numbers(tensor)
        own = layer.name
        if layer.kind == "input" and self._graph.tensors[tensor].grid is not None and grid != own:
            return self._requantized(tensor, self._demand(tensor, own), own, grid)
        known = self._graph.tensors[tensor]
        read = self._numbers(tensor) if known.grid is not None else self._numbers_as("float32", tensor)
        return self.made.add("QUANTIZE", [read], f"{tensor}_codes", self._shape(tensor), grid)

    def _numbers(self, tensor):
        """Returns the name of the tensor that holds one of the graph's as numbers."""
        if tensor not in self._held_numbers:
            self._held_numbers[tensor] = self._make_numbers(tensor)
        return self._held_numbers[tensor]

    def _make_numbers(self, tensor):
        call = self._graph.producer(tensor)
        layer, shape = self._graph.layer_of(call), self._shape(tensor)
        if layer.kind == "input":
            return tensor
        if layer.kind not in _NUMBERS:
            stored = self._demand(tensor, self._stored_grid(tensor))
            return (
                stored if self._is_floating else self.made.add("DEQUANTIZE", [stored], f"{tensor}_numbers", shape, None)
            )
        if layer.kind == "cast":
            return self.made.add("CAST", [self._numbers(source) for source in call.inputs], layer.name, shape, None)
        dtype, options = "bool", {}
        if layer.kind in _INDICES:
            dtype, options = "float32", {"arguments": 1, "value": "axis"}
        elif layer.kind in COMPARISONS:
            operand = layer.attributes.get("operand")
            options = {} if operand is None else {"arguments": 1, "value": str(operand)}
            dtypes = [self._graph.tensors[source].dtype for source in call.inputs]
            dtype = compared_type(dtypes, 0 if operand is None else operand)
        read = [self._numbers_as(dtype, source) for source in call.inputs]
        return self.made.add(layer.kind.upper(), read, layer.name, shape, None, **options)

    def _numbers_as(self, dtype, tensor):
        """Numbers of one of the graph's tensors in another type."""
        numbers, known = self._numbers(tensor), self._graph.tensors[tensor]
        if dtype == ("float32" if known.is_float else known.dtype):
            return numbers
        return self.made.add("CAST", [numbers], f"{tensor}_as_{dtype}", self._shape(tensor), None)

    def _stored_grid(self, tensor):
        """The grid of a tensor that its reader does not quantize."""
        while True:
            call = self._graph.producer(tensor)
            layer = self._graph.layer_of(call)
            moves = layer.kind in (*_UNCHANGED, *_COPYING, *_MOVING) and layer.kind != "concatenate"
            if not (call.inputs and moves):
                return self._own_grid(layer, call)
            tensor = call.inputs[0]

    def _requantized(self, tensor, made, own, grid):
        if own == grid:
            return made
        return self.made.scale(made, f"{tensor}_requantized", self._shape(tensor), grid, number="one", source=own)

    def _move(self, layer, call, read, grid):
        (kind, arguments), made, shape = _MOVING[layer.kind], self.made, self._shape(call.outputs[0])
        value = layer.attributes.get("paddings", layer.attributes.get("permutation"))
        planar = layer.kind.endswith("pool") and len(self._shape(call.inputs[0])) != 4
        flat = layer.kind == "global_max_pool" and len(shape) != 4
        if planar:
            read = [made.reshape(read[0], f"{layer.name}_rows", (layer.name, *shape), grid)]
        moved = made.add(kind, read, layer.name, shape, grid, arguments=arguments, value=value)
        return made.reshape(moved, f"{layer.name}_values", shape, grid) if planar or flat else moved

    def _copy(self, layer, call, read, grid):
        """What stands several times in a row, axis by axis."""
        name, made, shape = layer.name, self.made, self._shape(call.outputs[0])
        is_vector = layer.kind == "repeat"
        factors = (layer.attributes["count"],) if is_vector else layer.attributes["factors"]
        before = shape if is_vector else self._shape(call.inputs[0])
        for axis, factor in enumerate(factors, start=1):
            if factor > 1:
                sizes = (*shape[1 : axis + 1], *before[axis + 1 :])
                rows = made.reshape(read, f"{name}_rows", (name, *sizes), grid)
                copies = made.add("CONCATENATION", [rows] * factor, name, (None, *sizes), grid)
                read = made.reshape(copies, f"{name}_values", (None, *sizes), grid)
        return read

    def _multiply(self, layer, call, read, grid):
        shape, name, made = self._shape(call.outputs[0]), layer.name, self.made
        if name not in made:  # further calls read the same constants
            made.constants(name, (layer.shape.out_channels, *layer.shape.kernel_size, name), layer.shape.out_channels)
        one_axis = layer.kind.endswith("1d")
        if one_axis:
            read = made.reshape(read, f"{name}_image", (None, 1, *self._shape(call.inputs[0])[1:]), name)
            if layer.attributes.get("padding") == "causal":
                before = (layer.shape.kernel_size[1] - 1) * np.max(layer.attributes.get("dilation_rate", 1))
                _, length, channels = self._shape(call.inputs[0])
                padded = (name, 1, length + before, channels)
                read = made.add("PAD", [read], f"{name}_padding", padded, name, arguments=1)
        arguments = 1 if layer.kind == "conv2d_transpose" else 0
        read = made.add(_PRODUCTS[layer.kind], [read], name, shape, grid, constants=2, arguments=arguments)
        return made.reshape(read, f"{name}_sequence", shape, grid) if one_axis else read

    def _map(self, layer, call, grid):
        """An affine map, which the product before it computes along, or the one operation of several in a row."""
        source = tensor = call.inputs[0]
        scalar = layer.kind in _SCALAR
        while len(self._graph.readers(tensor)) == 1 and tensor not in self._graph.output_names:
            before = self._graph.producer(tensor)
            kind = self._graph.layer_of(before).kind
            if kind in _PRODUCTS:
                return self._demand(tensor, grid)
            if kind not in _AFFINE and kind != "identity" and not (kind == "relu" and scalar):
                break
            tensor = before.inputs[0]
            if kind in _AFFINE:
                source, scalar = tensor, scalar and kind in _SCALAR
        stored = self._stored_grid(source)
        return self.made.scale(
            self._demand(source, stored), layer.name, self._shape(call.outputs[0]), grid, source=stored
        )

    def _compute(self, layer, call, read, grid):
        name, kind, made = layer.name, layer.kind, self.made
        (tensor,), source = call.outputs, self._stored_grid(call.inputs[0]) if call.inputs else None
        shape = self._shape(tensor)
        if kind in _ON_ONE_GRID:
            own = self._own_grid(layer, call)
            return self._requantized(tensor, made.add(_ON_ONE_GRID[kind], read, name, shape, own), own, grid)
        if kind == "average_pool" and layer.attributes.get("padding", "valid") == "valid":
            window = layer.attributes["pool_size"]
            window = tuple(window) if hasattr(window, "__len__") else (window,)
            return made.scale(read[0], name, shape, grid, number="one", source=source, window=window)
        if kind == "resize":
            return self._requantized(tensor, made.add("RESIZE_BILINEAR", read, name, shape, source), source, grid)
        if kind == "average_pool":
            return self._requantized(tensor, made.add("AVERAGE_POOL_2D", read, name, shape, source), source, grid)
        if kind == "mean":
            return made.add("MEAN", read, name, shape, grid, arguments=1, value="height and width")
        if kind == "swish":
            gate = made.add("LOGISTIC", read, f"{name}_gate", shape, _SIGMOID)
            return made.add("MUL", [*read, gate], name, shape, grid)
        if kind == "hard_swish":
            gate = made.scale(read[0], f"{name}_gate", shape, _RAMP, number="one sixth", source=source)
            return made.add("MUL", [*read, gate], name, shape, grid)
        if kind == "prelu":
            of_channels = layer.num_parameters == shape[-1]
            return made.rectify(read[0], name, shape, grid, source=source, of_channels=of_channels)
        return made.add(_ELEMENTWISE.get(kind, kind), read, name, shape, grid)

    def _own_grid(self, layer: Layer, call):
        """What is equal for layers whose inputs lie on one grid; None in floating point."""
        selection = layer.activation
        if self._is_floating or (layer.kind in _PRODUCTS and selection.formats[0].is_float):
            return None
        if selection.range_of_tensor and call.inputs and len(selection.formats) == 1:
            return call.inputs[0], selection.bits, selection.signed
        return layer.name
