"""Finds the first layer at which a folded model differs from its source."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.data.whole_batches import by_whole_batches
from tfmp.graph import Graph, IntegerGraph, map_references
from tfmp.tflite.agreement import run_operation
from tfmp.tflite.output_tally import signal_to_noise_db

_SAMPLES = 8
PARTED = 15.0  # decibels


def first_parting(
    fixed: KerasModel, graph: Graph, integers: IntegerGraph, folded: KerasModel, samples: Mapping[str, np.ndarray]
) -> tuple[str, float]:
    """Finds the first operation of a folded model that differs from the trained model, given the same inputs.

    Both are compared as codes of the operation's output, so that later roundings of the trained model do not count.

    Args:
        fixed: The trained model.
        graph: The graph of the trained model.
        integers: The integer network.
        folded: The folded model of this network.
        samples: Arrays by the names of the inputs; the first few are used.

    Returns:
        Name of the first layer below 15 dB, otherwise of the layer with the lowest ratio; and its signal-to-noise ratio
        in decibels.
    """
    samples = {name: np.asarray(array[:_SAMPLES]) for name, array in samples.items()}
    stored = [
        operation
        for operation in integers.operations
        if integers.tensors[operation.output].grid is not None and integers.tensors[operation.output].source
    ]
    sources = list(dict.fromkeys(integers.tensors[operation.output].source for operation in stored))
    model = framework_of(fixed).tensor_model(fixed, sources)
    named = dict(zip(graph.input_names, samples.values(), strict=True))
    inputs = map_references(graph.inputs, lambda reference: named[reference.name])
    trained = dict(zip(sources, map(np.asarray, tf.nest.flatten(by_whole_batches(model)(inputs))), strict=True))
    tensors = dict(samples)
    ratios: dict[str, float] = {}
    for operation in integers.operations:
        tensor = integers.tensors[operation.output]
        tensors[operation.output] = computed = run_operation(folded, operation, tensors)
        if operation in stored:
            grid = tensor.require_grid()
            codes = np.clip(np.rint(trained[tensor.source] / grid.scale), grid.low, grid.high)
            layer = graph.producer(tensor.source).layer
            ratios.setdefault(layer, signal_to_noise_db(codes, computed))
            tensors[operation.output] = codes
    parted = (name for name, ratio in ratios.items() if ratio < PARTED)
    layer = next(parted, min(ratios, key=ratios.__getitem__))
    return layer, ratios[layer]
