"""Lowers the layers of a network to integer operations."""

import dataclasses

from tfmp.graph import Call, Graph, Grid, IntegerGraph, Layer
from tfmp.lowering.fused_paddings import with_fused_paddings
from tfmp.lowering.signature_names import signature_inputs, signature_outputs
from tfmp.lowering.stored_inputs import stored_by
from tfmp.operators import MOVES
from tfmp.operators.float_layer import FLOAT_LAYER, lowering_operator, users_layer
from tfmp.operators.fold_error import FoldError, no_integer_form
from tfmp.operators.integer_builder import Codes, IntegerBuilder
from tfmp.operators.lowering_context import LayerValues
from tfmp.operators.operator import Operator


class Lowering:
    """Requests every tensor with the codes that its reader needs; the operators of the layers' kinds compute them.

    Args:
        graph: A fixed network.
        values: Provides the grid of the input of a layer, `grid(layer)`, and the constants of a layer with a kernel,
            `kernel(layer, after, input_scale)`.

    Attributes:
        builder: Collects the operations.
        inputs: Maps names of the graph's inputs to their names in the integer network.
        held: Maps a tensor of the graph with codes, `(tensor, codes)`, to the name of the integer tensor that holds it.
    """

    def __init__(self, graph: Graph, values: LayerValues):
        self.graph, self.values, self.builder = graph, values, IntegerBuilder()
        self.inputs = signature_inputs(graph)
        self.held: dict[tuple[str, Codes], str] = {}
        self._grids: dict[str, Grid] = {}
        self._numbers: dict[str, str] = {}
        for tensor, name in self.inputs.items():
            self.builder.input(name, self.shape(tensor), self._input_type(tensor))

    def run(self) -> IntegerGraph:
        """Returns the whole network as an integer network.

        Raises:
            FoldError: If a layer has no integer form, or nothing quantizes a tensor that must be stored.
        """
        # In the order of the network: each request then finds its inputs and does not recurse deeply.
        for call in self.graph.calls:
            layer = self.graph.layer_of(call)
            if self.quantizes(layer):
                self.demand(call.inputs[0], Codes.all_of(self.grid(layer)))
        outputs = [self.output(tensor) for tensor in self.graph.output_names]
        names = signature_outputs(self.graph)
        return with_fused_paddings(self.builder.graph(self.graph.name, self.inputs.values(), outputs, names))

    def quantizes(self, layer: Layer) -> bool:
        """Returns True for layers that quantize their input."""
        return layer.is_quantized

    def output(self, tensor: str) -> str:
        """Returns the name of the tensor that holds an output of the model, as numbers."""
        if self._operator(self.graph.producer(tensor)).numbers is not None:
            return self.numbers(tensor)
        stored = self.stored(tensor, None)
        return self.builder.add("dequantize", (stored,), f"{tensor}_output", self.shape(tensor), None)

    def shape(self, tensor: str) -> tuple[int | None, ...]:
        """Returns the sizes of a tensor of the graph."""
        return self.graph.tensors[tensor].shape

    def grid(self, layer: Layer) -> Grid:
        """Returns the codes of the input of a quantized layer."""
        if layer.name not in self._grids:
            source = stored_by(self.graph, layer) if self._takes_stored(layer) else None
            self._grids[layer.name] = self.values.grid(layer) if source is None else self.grid(source)
        return self._grids[layer.name]

    def demand(self, tensor: str, codes: Codes) -> str:
        """Returns the name of the integer tensor that holds a tensor of the graph with these codes."""
        key = (tensor, codes)
        if key not in self.held:
            call = self.graph.producer(tensor)
            self.held[key] = self.lower(tensor, call, codes)
            self.builder.store(self.held[key], tensor, quantizer=self.graph.layer_of(call).kind == "quantize")
        return self.held[key]

    def lower(self, tensor: str, call: Call, codes: Codes) -> str:
        """Adds the operations that compute a tensor, the output of a call, with these codes; returns its name."""
        operator = self._operator(call)
        if operator.numbers is None and operator.reads != MOVES:
            self._check_float(tensor)
        if operator.lower is not None:
            return operator.lower(self, dataclasses.replace(call, outputs=(tensor,)), codes)
        if operator.numbers is None:
            raise no_integer_form(self.graph.layer_of(call), users_layer(self.graph, call))
        return self.quantized_numbers(tensor, codes)

    def numbers(self, tensor: str) -> str:
        """Returns the name of the tensor that holds a tensor of the graph as numbers, of its own dtype."""
        if tensor not in self._numbers:
            call = self.graph.producer(tensor)
            numbers = self._operator(call).numbers
            if numbers is not None:
                names = numbers(self, call)
                self._numbers.update(zip(call.outputs, (names,) if isinstance(names, str) else names, strict=True))
            else:
                self._check_float(tensor)
                stored, name = self.stored(tensor, self.graph.readers(tensor)[0].layer), f"{tensor}_numbers"
                self._numbers[tensor] = self.builder.add("dequantize", (stored,), name, self.shape(tensor), None)
        return self._numbers[tensor]

    def numbers_as(self, dtype: str, tensor: str) -> str:
        """Returns the name of the tensor that holds the numbers of a tensor of the graph in another type."""
        numbers = self.numbers(tensor)
        if self.builder.tensors[numbers].dtype == dtype:
            return numbers
        return self.builder.add("cast", (numbers,), f"{tensor}_as_{dtype}", self.shape(tensor), None, dtype=dtype)

    def quantized_numbers(self, tensor: str, codes: Codes) -> str:
        """Returns the name of the integer tensor with the codes of a tensor whose numbers are known."""
        numbers = self.numbers_as("float32", tensor)
        return self.builder.add("quantize", (numbers,), f"{tensor}_codes", self.shape(tensor), codes)

    def stored(self, tensor: str, reader: str | None) -> str:
        """Returns the name of the integer tensor that stores a tensor of the graph on the graph's own grid.

        Args:
            tensor: The tensor.
            reader: Name of the layer that reads it, for the message; None for an output of the model.

        Raises:
            FoldError: If nothing in the graph quantizes it.
        """
        return self.demand(tensor, Codes.all_of(self.stored_grid(tensor, reader)))

    def stored_grid(self, tensor: str, reader: str | None) -> Grid:
        """Returns the grid on which the graph stores a tensor."""
        call = self.source_of(tensor)
        layer, source = self.graph.layer_of(call), call.outputs[0]
        if layer.kind == "quantize":
            return self.grid(layer)
        grid = self.graph.tensors[source].grid if layer.kind == "input" else self._operator(call).grid
        if grid is not None:
            return grid
        read = "an output of the model" if reader is None else f"read by `{reader}`"
        raise FoldError(
            self.graph.producer(tensor).layer,
            f"its output is {read}, and nothing quantizes it",
            "Models made by `tfmp.relax` have a quantizer there; in a model built by hand, put a "
            "`tfmp.layers.Quantize` after it.",
        )

    def source_of(self, tensor: str) -> Call:
        """Returns the call that computes the values of a tensor, before calls that only move them."""
        call = self.graph.producer(tensor)
        while (operator := self._operator(call)).reads == MOVES and not operator.joins:
            call = self.graph.producer(call.inputs[0])
        return call

    def requantized(self, tensor: str, source: str, current: Codes, codes: Codes) -> str:
        """Returns `source`, a tensor of the graph with the codes `current`, requantized to `codes`."""
        return source if codes == current else self.builder.requantized(source, f"{tensor}_requantized", codes)

    def _takes_stored(self, layer: Layer) -> bool:
        """Returns True for a layer whose input has the grid on which another layer stores it."""
        return layer.activation.is_stored

    def _check_float(self, tensor: str) -> None:
        known = self.graph.tensors[tensor]
        if not known.is_float:
            raise FoldError(
                self.graph.producer(tensor).layer,
                f"it computes {known.dtype} numbers, for which it has no integer form",
                'Cast its inputs to float32 first; or export with `mode="float"`.',
            )

    def _input_type(self, tensor: str) -> str:
        """Returns the dtype in the user's model; half-precision inputs are given in single precision."""
        known = self.graph.tensors[tensor]
        return "float32" if known.is_float else known.dtype

    def _operator(self, call: Call) -> Operator:
        layer = self.graph.layer_of(call)
        operator = lowering_operator(layer)
        if operator is FLOAT_LAYER and self.graph.converter is None:
            raise no_integer_form(layer, users_layer(self.graph, call))
        return operator
