"""A model as plain data: layers, tensors, and the calls that connect them."""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.graph.candidates import UNQUANTIZED, Candidates
from tfmp.graph.float_network import FloatNetwork
from tfmp.graph.integer_graph import Grid
from tfmp.graph.layer_origin import LayerOrigin, Submodel
from tfmp.graph.layer_shape import LayerShape
from tfmp.graph.references import TensorRef, map_references, references_in
from tfmp.graph.runtime_limits import CODE_SPAN, INT8_HIGH, INT8_LOW


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor between two calls; `shape` starts with the batch, and free sizes are None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"

    @property
    def is_float(self) -> bool:
        """False for integers, Booleans and strings, which must not be quantized."""
        return "float" in self.dtype

    @property
    def grid(self) -> Grid | None:
        """The grid of a tensor of 8-bit integers, whose values are codes; None for other tensors."""
        return {"uint8": Grid(1, 0, CODE_SPAN), "int8": Grid(1, INT8_LOW, INT8_HIGH)}.get(self.dtype)


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a model.

    Args:
        name: Unique in the graph; the name in the user's model, `"backbone/conv1"` for a layer of a nested model.
        kind: Framework-independent name of what it computes (`"conv2d"`, `"batch_normalization"`, `"add"`, ...);
            `"other"` if the library does not know it.
        origin: Class and configuration in the framework, from which the binding builds the layer again.
        attributes: Framework-independent arguments (`strides`, `padding`, `max_value`, ...).
        weights: Its arrays by path relative to the layer (`"kernel"`, `"moving_mean"`); empty if not read. Those of its
            quantizers are in `weight` and `activation`.
        shape: For layers that multiply and accumulate, else None.
        weight: Candidates of its kernel.
        activation: Candidates of its input.
        coupled: True if candidate i of the kernel is paired with candidate i of the input, in one choice; False if
            every pair can be chosen.
        price: `[W, A]` array that a search has set, what each pair of candidates adds to the loss; None if nothing is
            searched, or it was not read.
        trainable: False if the user froze it.
        num_parameters: Number of parameters of the layer, kernel included; without those that quantizers and a search
            add, and without those that another layer counts.
        shared: Maps the position of a shared variable to `(layer, position)` of the layer that counts it and whose
            `weights` has its array.
    """

    name: str
    kind: str
    origin: LayerOrigin = LayerOrigin()
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    shape: LayerShape | None = None
    weight: Candidates = UNQUANTIZED
    activation: Candidates = UNQUANTIZED
    coupled: bool = False
    price: np.ndarray | None = None
    trainable: bool = True
    num_parameters: int = 0
    shared: Mapping[int, tuple[str, int]] = dataclasses.field(default_factory=dict)

    def require_shape(self) -> LayerShape:
        """Returns the shape of a layer that multiplies and accumulates.

        Raises:
            ValueError: If the layer does not multiply.
        """
        if self.shape is None:
            raise ValueError(f"Layer `{self.name}` must multiply and accumulate. Received: {self.kind}")
        return self.shape

    @property
    def is_searched(self) -> bool:
        """True if there is more than one candidate for the kernel or the input."""
        return len(self.weight.formats) > 1 or len(self.activation.formats) > 1

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The positions of all pairs of kernel and input candidates that can be chosen."""
        weights, activations = range(len(self.weight.formats)), range(len(self.activation.formats))
        if self.coupled:
            return tuple(zip(weights, activations, strict=True))
        return tuple(itertools.product(weights, activations))

    def pair_probabilities(
        self, weight: Sequence[float] | np.ndarray | None = None, activation: Sequence[float] | np.ndarray | None = None
    ) -> np.ndarray:
        """Returns the `[W, A]` probabilities of the pairs of candidates, zero for pairs that cannot be chosen.

        Args:
            weight: Probabilities of the kernel's candidates; by default the layer's own.
            activation: Probabilities of the input's candidates; by default the layer's own.
        """
        weight = self.weight.probabilities if weight is None else weight
        if self.coupled:
            return np.diag(np.asarray(weight, np.float64))
        return np.outer(weight, self.activation.probabilities if activation is None else activation)

    @property
    def is_quantized(self) -> bool:
        return not (self.weight.formats[0].is_float and self.activation.formats[0].is_float)

    def with_candidates(
        self, weight: Candidates = UNQUANTIZED, activation: Candidates = UNQUANTIZED, **config: Any
    ) -> "Layer":
        """Returns the layer with other candidates.

        Args:
            weight: Candidates of the kernel.
            activation: Candidates of the input.
            **config: Arguments of its class that change with them, such as `weight_bits` of a `MixedPrecision*` layer.
        """
        bits = {
            f"{tensor}_bits": None if candidates.formats[0].is_float else candidates.bits
            for tensor, candidates in (("weight", weight), ("activation", activation))
        }
        origin = self.origin.replace_config(**bits, **config)
        return dataclasses.replace(self, origin=origin, weight=weight, activation=activation)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns all arrays except the price, by unique, readable names."""
        kernel, inputs = (
            {f"{tensor} quantizer: {name}": value for name, value in candidates.arrays().items()}
            for tensor, candidates in (("weight", self.weight), ("activation", self.activation))
        )
        return {**self.weights, **kernel, **inputs}


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of a layer: positional and keyword arguments with a `TensorRef` in place of every tensor.

    `within` is the call of the nested model that contains it, a key of `Graph.submodels`; `""` in the outermost model.
    """

    layer: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[str, ...]
    within: str = ""

    @functools.cached_property
    def inputs(self) -> tuple[str, ...]:
        return tuple(references_in((self.args, self.kwargs)))


@dataclasses.dataclass(frozen=True)
class Graph:
    """A model: its layers, calls and tensors.

    Args:
        name: Name of the model.
        layers: By name.
        calls: In an order in which they can run.
        tensors: By name.
        inputs: The structure (tuple, list, dict) of the model's inputs with a `TensorRef` for every tensor.
        outputs: The same for its outputs.
        framework: The framework that it was read from and can be built in: `"keras"` or `"tf_keras"`.
        submodels: The calls of nested models, outer ones first; `Call.within` names them.
        config: The framework's own configuration of the model.
        converter: Function of (graph, call, batch size) of the framework that returns the `FloatNetwork` of a call of a
            layer; None for a graph that no framework read.
    """

    name: str
    layers: Mapping[str, Layer]
    calls: tuple[Call, ...]
    tensors: Mapping[str, Tensor]
    inputs: Any
    outputs: Any
    framework: str
    submodels: Mapping[str, Submodel] = dataclasses.field(default_factory=dict)
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    converter: Callable[["Graph", Call, int], FloatNetwork] | None = dataclasses.field(
        default=None, repr=False, compare=False
    )

    def convert(self, call: Call, batch_size: int) -> FloatNetwork:
        """Returns the operators of a call of a layer in floating point, or raises `ValueError` if there are none."""
        if self.converter is None:
            raise ValueError(f"Graph `{self.name}` was not read by a framework, which converts layers.")
        return self.converter(self, call, batch_size)

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(references_in(self.inputs))

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(references_in(self.outputs))

    def producer(self, tensor: str) -> Call:
        """Returns the call that writes a tensor."""
        return self._producers[tensor]

    def readers(self, tensor: str) -> tuple[Call, ...]:
        """Returns the calls that read a tensor; a call that reads it twice occurs twice."""
        return self._readers.get(tensor, ())

    def calls_of(self, layer: str) -> tuple[Call, ...]:
        """Returns the calls of a layer, in order."""
        return self._calls_of.get(layer, ())

    def layer_of(self, call: Call) -> Layer:
        return self.layers[call.layer]

    @property
    def searched(self) -> tuple[Layer, ...]:
        """The layers whose bits are open, in the order in which they first run."""
        return tuple(layer for layer in self.in_order() if layer.is_searched)

    def in_order(self) -> Iterator[Layer]:
        """Yields every layer once, in the order in which it first runs."""
        return (self.layers[name] for name in dict.fromkeys(call.layer for call in self.calls))

    def replace_layers(self, layers: Mapping[str, Layer]) -> "Graph":
        """Returns the graph with some layers replaced, by name."""
        return dataclasses.replace(self, layers={**self.layers, **layers})

    def insert_after(self, tensor: str, layer: Layer) -> "Graph":
        """Returns the graph with a layer inserted after one tensor, see `insert_layers`."""
        return self.insert_layers({tensor: layer})

    def insert_layers(self, layers: Mapping[str, Layer]) -> "Graph":
        """Returns the graph with a layer inserted after each of some tensors, given by the tensor's name.

        Readers of the tensor then read the layer's output. The layer is called in the model that computes the tensor.
        If the graph has it already, this is another call.
        """
        num_calls = collections.Counter(call.layer for call in self.calls)
        outputs: dict[str, TensorRef] = {}
        for tensor, layer in layers.items():
            number = num_calls[layer.name]
            outputs[tensor] = TensorRef(f"{layer.name}:call_{number}" if number else layer.name)
            num_calls[layer.name] += 1

        def redirect(reference: TensorRef) -> TensorRef:
            return outputs.get(reference.name, reference)

        calls = []
        for old in self.calls:
            if outputs.keys().isdisjoint(old.inputs):
                calls.append(old)  # keeps what was computed of it
            else:
                args, kwargs = map_references((old.args, dict(old.kwargs)), redirect)
                calls.append(dataclasses.replace(old, args=args, kwargs=kwargs))
            calls += [
                Call(layers[tensor].name, (TensorRef(tensor),), {}, (outputs[tensor].name,), old.within)
                for tensor in old.outputs
                if tensor in layers
            ]
        inserted = {new.name: dataclasses.replace(self.tensors[old], name=new.name) for old, new in outputs.items()}
        return dataclasses.replace(
            self,
            layers={**self.layers, **{layer.name: layer for layer in layers.values()}},
            calls=tuple(calls),
            tensors={**self.tensors, **inserted},
            outputs=map_references(self.outputs, redirect),
            submodels={use: _redirected(submodel, redirect) for use, submodel in self.submodels.items()},
        )

    def without(self, layers: Container[str]) -> "Graph":
        """Returns the graph without some layers of one input and one output; readers of the output read the input."""
        sources: dict[str, TensorRef] = {}  # in the order of the calls, so that chains of removed layers resolve

        def redirect(reference: TensorRef) -> TensorRef:
            return sources.get(reference.name, reference)

        calls = []
        for call in self.calls:
            args, kwargs = map_references((call.args, dict(call.kwargs)), redirect)
            if call.layer in layers:
                sources[call.outputs[0]] = TensorRef(next(references_in((args, kwargs))))
            else:
                calls.append(dataclasses.replace(call, args=args, kwargs=kwargs))
        return dataclasses.replace(
            self,
            layers={name: layer for name, layer in self.layers.items() if name not in layers},
            calls=tuple(calls),
            tensors={name: tensor for name, tensor in self.tensors.items() if name not in sources},
            outputs=map_references(self.outputs, redirect),
            submodels={use: _redirected(submodel, redirect) for use, submodel in self.submodels.items()},
        )

    def unused_name(self, name: str, pending: Container[str] = ()) -> str:
        """Returns `name`, or the first of `name_1`, `name_2`, ... that no layer or tensor has or will have.

        Args:
            name: The name.
            pending: Names of layers that are about to be inserted.
        """
        candidate, number = name, 0
        while candidate in self.layers or candidate in self.tensors or candidate in pending:
            number += 1
            candidate = f"{name}_{number}"
        return candidate

    @functools.cached_property
    def _producers(self) -> dict[str, Call]:
        return {name: call for call in self.calls for name in call.outputs}

    @functools.cached_property
    def _readers(self) -> dict[str, tuple[Call, ...]]:
        readers: dict[str, tuple[Call, ...]] = {}
        for call in self.calls:
            for name in call.inputs:
                readers[name] = (*readers.get(name, ()), call)
        return readers

    @functools.cached_property
    def _calls_of(self) -> dict[str, tuple[Call, ...]]:
        calls_of: dict[str, tuple[Call, ...]] = {}
        for call in self.calls:
            calls_of[call.layer] = (*calls_of.get(call.layer, ()), call)
        return calls_of


def _redirected(submodel: Submodel, redirect: Callable[[TensorRef], Any]) -> Submodel:
    fields = ("inputs", "outputs", "arguments")
    return dataclasses.replace(
        submodel, **{field: map_references(getattr(submodel, field), redirect) for field in fields}
    )
