"""Lowers networks whose bits are open, and networks without an integer form."""

import dataclasses
import math
from collections.abc import Hashable

import numpy as np

from tfmp.graph import Call, Graph, Grid, Layer
from tfmp.graph.float_network import FloatNetwork, FloatTensor
from tfmp.graph.integer_graph import IntegerOperation, IntegerTensor
from tfmp.graph.open_values import FLOAT_GRID, Constant, OpenArray, OpenGrid
from tfmp.graph.runtime_limits import CODE_SPAN, INT8_HIGH, INT8_LOW
from tfmp.graph.targets import LITERT, Target
from tfmp.lowering.lowering import Lowering
from tfmp.lowering.weight_packing import weight_storage
from tfmp.lowering.write_operations import write_operations
from tfmp.operators import Operator, kernel_of, operator_of
from tfmp.operators.affine_map import AffineMap
from tfmp.operators.float_layer import FLOAT_LAYER
from tfmp.operators.fold_error import FoldError
from tfmp.operators.integer_builder import Codes
from tfmp.operators.operator_table import fused_clip
from tfmp.operators.writing.sink import Options, Sink
from tfmp.operators.writing.tensor_table import TensorTable


def write_open(
    graph: Graph, sink: Sink, *, mode: str = "fast", full_range: bool = False, target: Target = LITERT
) -> tuple[dict[str, int], dict[str, int]]:
    """Writes the integer operations of a network before its values are known.

    Two grids or constants are equal only if the file is certain to store them once: two layers share a grid if both
    take the range of the same tensor, but learned steps, kernels, biases and normalizations differ. Decisions that
    depend on scales are made for typical scales. Layers without an integer form have their operators in floating point;
    where the runtime has none, each call of a layer is one operation. Tensors that a layer in floating point reads are
    in floating point, and so is a whole network without quantized layers.

    Args:
        graph: A network with fixed or open layers; of several candidates the first counts.
        sink: Receives tensors, constants and operators.
        mode: How the file stores weights, `tfmp.lowering.weight_packing.MODES`.
        full_range: True to use 8-bit activations instead of the layers' own.
        target: The runtime of the file, whose default types the inputs and outputs have.

    Returns:
        The indices in the sink of the inputs and of the outputs, by their names in the file.

    Raises:
        ValueError: If the target lacks an operation.
    """
    integers = OpenLowering(graph, OpenValues(graph, mode, full_range, target)).run()
    number_type = target.number_type if any(layer.is_quantized for layer in graph.layers.values()) else "float32"
    return write_operations(
        integers, sink, input_type=number_type, output_type=number_type, target=target, otherwise=_write_unknown
    )


def with_stand_ins(graph: Graph) -> Graph:
    """Returns a network that was read without weights, with placeholders for the arrays that lowering needs.

    As in a trained network, no two layers have equal arrays.
    """
    changed = {}
    for number, layer in enumerate(graph.in_order(), start=1):
        operator, calls = operator_of(layer), graph.calls_of(layer.name)
        if operator is None or not operator.arrays or not calls[0].outputs:
            continue
        sizes = [size or 1 for size in graph.tensors[calls[0].outputs[0]].shape]
        shape, axes = tuple(sizes[1:]), operator.axes(layer)
        if len(axes) == 1:
            shape = (sizes[axes[0]],)
        elif len(operator.arrays) > 1 or layer.num_parameters in (0, shape[-1]):  # otherwise each value has its own
            shape = shape[-1:]
        weights = {name: np.full(shape, value + number, np.float32) for name, value in operator.arrays.items()}
        changed[layer.name] = dataclasses.replace(layer, weights={**weights, **layer.weights})
    return graph.replace_layers(changed)


class OpenValues:
    """Provides labels in place of the grids and constants that a trained network has.

    Args:
        graph: The network.
        mode: As in `write_open`.
        full_range: As in `write_open`.
        target: As in `write_open`.
    """

    def __init__(self, graph: Graph, mode: str, full_range: bool, target: Target = LITERT):
        self._mode, self._full_range, self._target = mode, full_range, target
        self._is_float = not any(layer.is_quantized for layer in graph.layers.values())
        self._first_readers: dict[tuple[Hashable, ...], str] = {}
        self._networks: dict[Hashable, FloatNetwork] = {}
        self._sources = {call.layer: call.inputs[0] for call in reversed(graph.calls) if call.inputs}

    def grid(self, layer: Layer) -> OpenGrid:
        """Returns the codes of the input of a layer, labeled with the name of the first layer that has them."""
        selection = layer.activation
        codes = selection.formats[0]
        if self._is_float or codes.is_float:
            return FLOAT_GRID
        label = layer.name
        if selection.range_of_tensor and len(selection.formats) == 1:
            range_of = (self._sources[layer.name], selection.quantizer, codes.bits, selection.signed)
            label = self._first_readers.setdefault(range_of, layer.name)
        if self._full_range:
            return OpenGrid.of(label, *((0, CODE_SPAN) if codes.low == 0 else (INT8_LOW, INT8_HIGH)))
        return OpenGrid.of(label, *codes.code_range)

    def kernel(
        self, layer: Layer, after: AffineMap | None, input_scale: float
    ) -> tuple[dict[str, Constant], dict[str, int]]:
        """Returns the constants of a layer with a kernel and how the file stores it."""
        shape, codes, name = layer.require_shape(), layer.weight.formats[0], layer.name
        channels = (shape.out_channels,)
        constants: dict[str, Constant] = {
            "kernel": OpenArray(
                kernel_of(layer).operation_shape(shape), np.float32 if codes.is_float else np.int8, (name, "kernel")
            ),
            "kernel_scale": OpenArray(channels, np.float32, (name, "kernel_scale")),
            "bias": OpenArray(channels, np.int32, (name, "bias")),
        }
        if after is None and not layer.attributes.get("use_bias", True):
            constants["bias"] = np.zeros(channels, np.int32)  # the file stores equal zeros once
        if codes.is_float:
            return constants, {"container_bits": 8}
        storage = weight_storage(shape, *codes.code_range, bits=codes.bits, mode=self._mode, target=self._target)
        return constants, storage.attributes

    def float_network(self, graph: Graph, call: Call, batch_size: int) -> FloatNetwork:
        """Returns the operators of a call of a layer in floating point, with labels in place of its weights."""
        key = (call.outputs, batch_size)
        if key not in self._networks:
            network = graph.convert(call, batch_size)
            tensors = [_opened_weights(tensor, (call.layer, n)) for n, tensor in enumerate(network.tensors)]
            self._networks[key] = dataclasses.replace(network, tensors=tensors)
        return self._networks[key]


def _opened_weights(tensor: FloatTensor, label: Hashable) -> FloatTensor:
    """Returns a tensor with a label in place of weights; single numbers and integers are no weights."""
    if tensor.values is None or math.prod(tensor.shape) < 2:
        return tensor
    if tensor.scales is not None:
        scales = OpenArray(tensor.scales.shape, np.float32, (label, "scales"))
        return dataclasses.replace(tensor, values=OpenArray(tensor.shape, np.int8, label), scales=scales)
    if tensor.dtype != "float32":
        return tensor
    return dataclasses.replace(tensor, values=OpenArray(tensor.shape, np.float32, label))


class Unknown(IntegerOperation):
    """An operation without an integer form."""

    def __post_init__(self) -> None:
        pass


_UNKNOWN = Operator("unknown")


class OpenLowering(Lowering):
    """Lowers a network, layers without an integer form included; see `write_open`.

    Args:
        graph: A network.
        values: Its `OpenValues`.
    """

    def __init__(self, graph: Graph, values: OpenValues):
        super().__init__(_without_other_activations(with_stand_ins(graph)), values)
        self._is_float = not any(layer.is_quantized for layer in graph.layers.values())

    def shape(self, tensor: str) -> tuple[int | None, ...]:
        """Returns the sizes of a tensor of the graph; free sizes count as 1."""
        batch, *sizes = super().shape(tensor)
        return (batch, *(size or 1 for size in sizes))

    def quantizes(self, layer: Layer) -> bool:
        operator = operator_of(layer)
        multiplies = operator is not None and operator.kernel is not None
        return layer.is_quantized or (self._is_float and multiplies)

    def lower(self, tensor: str, call: Call, codes: Codes) -> str:
        if codes.grid == FLOAT_GRID and self._operator(call).numbers is not None:
            return self._in_float(self.numbers(tensor))
        try:
            return super().lower(tensor, call, codes)
        except FoldError:
            return self._unknown(tensor, call, codes.grid)

    def numbers(self, tensor: str) -> str:
        if tensor not in self._numbers:
            call = self.graph.producer(tensor)
            try:
                if self._is_float and self._operator(call).numbers is None:
                    self._numbers[tensor] = self.demand(tensor, Codes.all_of(FLOAT_GRID))
                return super().numbers(tensor)
            except FoldError:
                self._numbers[tensor] = self._unknown(tensor, call, None)
        return self._numbers[tensor]

    def output(self, tensor: str) -> str:
        return self.numbers(tensor) if self._is_float else super().output(tensor)

    def stored_grid(self, tensor: str, reader: str | None) -> Grid:
        if self._is_float:
            return FLOAT_GRID
        try:
            return super().stored_grid(tensor, reader)
        except FoldError:
            layer = self.graph.layer_of(self.source_of(tensor))
            if layer.shape is not None and layer.activation.formats[0].is_float:
                return FLOAT_GRID
            return OpenGrid.of(("not quantized", layer.name), INT8_LOW, INT8_HIGH)

    def requantized(self, tensor: str, source: str, current: Codes, codes: Codes) -> str:
        if codes.grid == FLOAT_GRID != current.grid:
            if self._is_float:
                return self._in_float(source)
            return self.builder.add("dequantize", (source,), f"{tensor}_numbers", self.shape(tensor), codes)
        return super().requantized(tensor, source, current, codes)

    def _takes_stored(self, layer: Layer) -> bool:
        return layer.is_searched or super()._takes_stored(layer)  # `tfmp.fix` lets it take the grid where it can

    def _in_float(self, name: str) -> str:
        self.builder.tensors[name] = dataclasses.replace(self.builder.tensors[name], grid=FLOAT_GRID)
        return name

    def _operator(self, call: Call) -> Operator:
        is_convertible = self.graph.converter is not None and not self._is_float
        return operator_of(self.graph.layer_of(call)) or (FLOAT_LAYER if is_convertible else _UNKNOWN)

    def _unknown(self, tensor: str, call: Call, grid: Grid | None) -> str:
        """Adds one operation for a layer without an integer form, on its inputs as they are stored."""
        read = [self.stored(source, call.layer) for source in call.inputs]
        name, known = self.builder.unused_name(call.layer), self.graph.tensors[tensor]
        dtype = "float32" if grid is not None or known.is_float else known.dtype
        self.builder.tensors[name] = IntegerTensor(name, self.shape(tensor), grid, dtype)
        kind = self.graph.layer_of(call).kind
        self.builder.operations.append(Unknown(name, kind, tuple(read), name, layer=call.layer))
        return name


def _without_other_activations(graph: Graph) -> Graph:
    """Returns the network without the activations that cannot be fused into an operator with a kernel."""
    changed = {
        name: dataclasses.replace(layer, attributes={**layer.attributes, "activation": "linear"})
        for name, layer in graph.layers.items()
        if layer.shape is not None and fused_clip(layer.attributes.get("activation", "linear")) is None
    }
    return graph.replace_layers(changed) if changed else graph


def _write_unknown(table: TensorTable, operation: IntegerOperation) -> None:
    """Writes one operator for an operation without an integer form."""
    inputs = [table.index(name) for name in operation.inputs]
    inputs += [
        table.sink.constant(f"{operation.name}/{name}", operation.constants[name])
        for name in ("kernel", "bias")
        if name in operation.constants
    ]
    options = Options(f"{operation.kind}Options")
    table.sink.operator(operation.kind.upper(), inputs, [table.index(operation.output)], version=1, options=options)
