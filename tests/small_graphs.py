"""Graphs of artificial networks: chains of layers with candidates and probabilities, without a framework."""

import itertools
import math

from tfmp.graph import UNQUANTIZED, Call, Candidates, CodeFormat, Graph, Layer, LayerShape, Tensor, TensorRef

CONV = LayerShape("conv", "conv2d", (3, 3), (1, 1), 4, 8, 1, (5, 6), input_size=(7, 8))
GROUPED = LayerShape("grouped", "conv2d", (3, 2), (2, 2), 8, 12, 4, (3, 3), input_size=(5, 6))
DEPTHWISE = LayerShape("depthwise", "depthwise_conv2d", (3, 3), (1, 1), 12, 12, 12, (3, 3), input_size=(3, 3))
DENSE = LayerShape("dense", "dense", in_channels=12, out_channels=10)


def selection(bits, probabilities=None, *, signed=True, quantizer="lsq"):
    """Candidates of an LSQ tensor; equal probabilities unless given."""
    formats = tuple(
        CodeFormat(b, -(2 ** (b - 1)), max(1, 2 ** (b - 1) - 1)) if signed else CodeFormat(b, 0, 2**b - 1) for b in bits
    )
    probabilities = tuple(probabilities or [1 / len(bits)] * len(bits))
    return Candidates(formats, probabilities, quantizer, signed)


def layer(shape, weight=UNQUANTIZED, activation=UNQUANTIZED, *, num_extra_parameters=0):
    return Layer(
        shape.name,
        shape.kind,
        shape=shape,
        weight=weight,
        activation=activation,
        num_parameters=shape.num_weights + num_extra_parameters,
    )


def chain(*layers, order=None):
    """A graph that calls the layers one after another, in the order of their names if one is given."""
    by_name = {layer.name: layer for layer in layers}
    names = [layer.name for layer in layers] if order is None else order
    calls = [Call("input", (), {}, ("t0",))]
    calls += [Call(name, (TensorRef(f"t{i}"),), {}, (f"t{i + 1}",)) for i, name in enumerate(names)]
    tensors = {f"t{i}": Tensor(f"t{i}", (None, 1)) for i in range(len(names) + 1)}
    return Graph(
        "chain",
        {"input": Layer("input", "input"), **by_name},
        tuple(calls),
        tensors,
        [TensorRef("t0")],
        [TensorRef(f"t{len(names)}")],
        "keras",
    )


def searched_net():
    """Three searched layers, one of them grouped and called twice, one fixed and one in floating point."""
    return chain(
        layer(CONV, selection((1, 2, 4), (0.2, 0.5, 0.3)), selection((2, 8), (0.9, 0.1), signed=False)),
        layer(GROUPED, selection((2, 3), (0.6, 0.4)), selection((4,), signed=False), num_extra_parameters=12),
        layer(DEPTHWISE, selection((8,)), selection((8,), signed=False)),
        layer(DENSE, UNQUANTIZED, selection((1, 2, 3), (0.1, 0.2, 0.7), signed=False), num_extra_parameters=10),
        layer(LayerShape("head", "dense", in_channels=10, out_channels=3), num_extra_parameters=3),
        Layer("normalization", "batch_normalization", attributes={"axis": -1, "epsilon": 1e-3}, num_parameters=32),
        order=["conv", "normalization", "grouped", "grouped", "depthwise", "dense", "head"],
    )


def assignments(graph):
    """All `(probability, bits by name)` of a graph under independent choices, of pairs where they are coupled."""
    options = [
        [
            (p if layer.coupled else p * q, (layer.name, (weight, activation)))
            for i, (weight, p) in enumerate(zip(layer.weight.bits, layer.weight.probabilities, strict=True))
            for j, (activation, q) in enumerate(zip(layer.activation.bits, layer.activation.probabilities, strict=True))
            if i == j or not layer.coupled
        ]
        for layer in graph.searched
    ]
    for combination in itertools.product(*options):
        yield math.prod(p for p, _ in combination), dict(pair for _, pair in combination)
