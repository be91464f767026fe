"""Compares the results of a file with those of models."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasModel
from tfmp.bindings.integer_model import operation_layer_name
from tfmp.data.whole_batches import by_whole_batches
from tfmp.graph import IntegerGraph, IntegerOperation
from tfmp.graph.runtime_limits import SMALLEST_SCALE
from tfmp.operators import float_layer
from tfmp.reports import ModelAgreement, OperatorAgreement
from tfmp.reports.model_agreement import FLOAT_DIFFERENCE
from tfmp.tflite.file_runner import FileRunner
from tfmp.tflite.output_tally import OutputTally

_LARGEST_CHUNK = 2**24  # codes of all tensors in total
_SAMPLES = 32  # per chunk, in floating point


def integer_agreement(
    graph: IntegerGraph,
    folded: KerasModel,
    interpreter: FileRunner,
    samples: Iterable[Mapping[str, np.ndarray]],
    *,
    models: Mapping[str, Callable[..., Any]],
    decisions: Mapping[str, str],
) -> dict[str, Any]:
    """Compares an integer file with its network, operator by operator, and with models end to end.

    Every operator of the folded model gets the input codes of the file. Samples run in parts, to limit the memory for
    the codes of a deep network.

    Args:
        graph: The integer network.
        folded: The folded model of this network.
        interpreter: The interpreter of the file.
        samples: Batches, each a dict of arrays by the names of the graph's inputs.
        models: Functions by field of `TFLiteReport`, from arrays in the order of `graph.inputs` to arrays in the order
            of `graph.output_names`.
        decisions: How each output predicts classes, by its name; see `tfmp.transform.output_kind.decision`.

    Returns:
        The fields of a `TFLiteReport` about agreement.

    Raises:
        ValueError: If the file is of another network.
    """
    _check_same_network(graph, interpreter)
    readable = interpreter.readable_tensors
    layers = {
        name: operation
        for operation in graph.operations
        for name in operation.outputs
        if graph.tensors[name].grid is not None or (operation.kind == float_layer.KIND and name in readable)
    }
    tallies = {name: _Tally() if graph.tensors[name].grid else _NumbersTally() for name in layers}
    outputs = _Outputs(("folded", *models), graph.output_names, decisions)
    per_sample = sum(math.prod(tensor.shape[1:]) for tensor in readable.values())
    for part in _parts(samples, max(1, _LARGEST_CHUNK // per_sample), interpreter.batch_size):
        stored = {name: tensor.stored(part[name]) for name, tensor in interpreter.inputs.items()}
        numbers = {name: _numbers(tensor, part[name], stored[name]) for name, tensor in interpreter.inputs.items()}
        file_codes = {**_with_inputs(graph, interpreter, interpreter.codes(stored), stored), **numbers}
        computed = _folded_results(graph, folded, file_codes, tallies)
        results = {name: function(*(part[key] for key in graph.inputs)) for name, function in models.items()}
        results["folded"] = [computed[tensor] for tensor in graph.outputs]
        outputs.add(part, results, interpreter.run(stored), interpreter)
    agreements = (
        OperatorAgreement(name, layer.layer, layer.kind, tallies[name].equal_share, tallies[name].largest)
        for name, layer in layers.items()
    )
    return {"operators": tuple(agreements), **outputs.fields, "outside_xnnpack": _outside(interpreter)}


def float_agreement(
    input_names: Iterable[str],
    output_names: Iterable[str],
    interpreter: FileRunner,
    samples: Iterable[Mapping[str, np.ndarray]],
    *,
    models: Mapping[str, Callable[..., Any]],
    decisions: Mapping[str, str],
) -> dict[str, Any]:
    """Compares a floating-point file with models, end to end; see `integer_agreement`.

    Args:
        input_names: Names of the file's inputs, in the order of the arguments of `models`.
        output_names: Names of the file's outputs, in the order of the results of `models`.
        interpreter: The interpreter of the file.
        samples: Batches, each a dict of arrays by input name.
        models: Functions by field of `TFLiteReport`, from arrays to arrays.
        decisions: How each output predicts classes, by its name.
    """
    input_names, output_names = tuple(input_names), tuple(output_names)
    _check_same_ends(interpreter, input_names, output_names)
    outputs = _Outputs(tuple(models), output_names, decisions)
    for part in _parts(samples, _SAMPLES, interpreter.batch_size):
        stored = {name: tensor.stored(part[name]) for name, tensor in interpreter.inputs.items()}
        results = {name: function(*(part[key] for key in input_names)) for name, function in models.items()}
        outputs.add(part, results, interpreter.run(stored), interpreter)
    return {**outputs.fields, "outside_xnnpack": _outside(interpreter)}


class _Outputs:
    """Tallies of every output, for each model."""

    def __init__(self, models, names, decisions):
        self.num_samples = 0
        self.tallies = {
            model: [OutputTally(name, decisions[name], exact=model == "folded") for name in names] for model in models
        }

    def add(self, part, results, file_results, interpreter):
        self.num_samples += len(next(iter(part.values())))
        for model, tallies in self.tallies.items():
            for tally, expected in zip(tallies, results[model], strict=True):
                tally.add(expected, interpreter.outputs[tally.name].values(file_results[tally.name]))

    @property
    def fields(self):
        return {
            model: ModelAgreement(tuple(tally.agreement for tally in tallies), self.num_samples)
            for model, tallies in self.tallies.items()
        }


class _Tally:
    """Tally of an operator's codes over all parts of the samples."""

    def __init__(self):
        self.count = self.equal = self.largest = 0

    def add(self, expected, found):
        difference = np.abs(expected - found)
        self.count += difference.size
        self.equal += int(np.count_nonzero(difference == 0))
        self.largest = max(self.largest, int(difference.max(initial=0)))

    @property
    def equal_share(self):
        return self.equal / self.count


class _NumbersTally(_Tally):
    """Tally of the numbers of a layer in floating point: differences are shares of the largest number."""

    def add(self, expected, found):
        same = (expected == found) | (np.isnan(expected) & np.isnan(found))  # infinite ones, too
        with np.errstate(invalid="ignore"):
            difference = np.where(same, 0, np.abs(expected - found))
        difference = difference / max(np.abs(expected[np.isfinite(expected)]).max(initial=0), SMALLEST_SCALE)
        self.count += difference.size
        self.equal += int(np.count_nonzero(difference <= FLOAT_DIFFERENCE))
        self.largest = max(self.largest, float(np.where(np.isnan(difference), np.inf, difference).max(initial=0)))


def run_operation(
    folded: KerasModel, operation: IntegerOperation, tensors: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Computes the outputs of one operation of a folded model, by their names.

    Args:
        folded: The folded model.
        operation: The `IntegerOperation`.
        tensors: Tensors by name, including its inputs.
    """
    layer = folded.get_layer(operation_layer_name(operation.name))
    if operation.kind == float_layer.KIND:
        results = by_whole_batches(layer)([tensors[name] for name in operation.inputs])
        return dict(zip(operation.outputs, map(np.asarray, tf.nest.flatten(results)), strict=True))
    inputs = [
        np.asarray(tensors[name], None if grid is None else np.float32)  # numbers keep their type
        for name, grid in zip(operation.inputs, layer.input_grids, strict=True)
    ]
    return {operation.output: np.asarray(layer(inputs if len(inputs) > 1 else inputs[0]))}


def _folded_results(graph, folded, file_codes, tallies):
    """Computes the folded model from its own codes, and tallies each operator given the codes of the file.

    An operator runs only once if both inputs are the same codes.
    """
    model_codes = {name: file_codes[name] for name in graph.inputs}
    for operation in graph.operations:
        expected = run_operation(folded, operation, file_codes)
        same_inputs = all(model_codes[name] is file_codes[name] for name in operation.inputs)
        results = expected if same_inputs else run_operation(folded, operation, model_codes)
        for name in operation.outputs:
            if name in tallies:
                codes = file_codes[name]
                tallies[name].add(expected[name], codes)
                model_codes[name] = codes if np.array_equal(results[name], codes) else results[name]
            else:  # plain numbers, of which the file shows only the last
                file_codes[name], model_codes[name] = expected[name], results[name]
    return model_codes


def _numbers(tensor, given, stored):
    """Returns the numbers that an input of the file holds; the caller has rounded what is given as codes."""
    is_rounded = tensor.scale is not None and np.asarray(given).dtype.kind == "f"
    return tensor.values(stored) if is_rounded else given


def _with_inputs(graph, interpreter, codes, stored):
    """Returns the codes of all tensors of the graph, with those of the inputs if the file takes codes."""
    for operation in graph.operations:
        if operation.kind == "quantize" and operation.output not in codes:
            name = operation.inputs[0]
            codes[operation.output] = stored[name].astype(np.int32) - interpreter.inputs[name].zero_point
    return codes


def _parts(samples, count, batch_size):
    """Yields parts of batches with at most `count` samples, in whole batches of the file."""
    count = max(1, count // batch_size) * batch_size
    for batch in samples:
        for start in range(0, len(next(iter(batch.values()))), count):
            yield {name: array[start : start + count] for name, array in batch.items()}


def refuse(interpreter: FileRunner, what: str) -> NoReturn:
    """Raises the error for a file of another model."""
    raise ValueError(
        f"Expected the file of this model, as it is now. Received: {interpreter.label}, {what}. Compare it with the "
        "model that it was exported from, or export again."
    )


def _check_same_ends(interpreter, inputs, outputs):
    for ends, names in (("inputs", inputs), ("outputs", outputs)):
        if set(getattr(interpreter, ends)) != set(names):
            refuse(interpreter, f"whose {ends} are {', '.join(getattr(interpreter, ends))}, not {', '.join(names)}")


def _check_same_network(graph, interpreter):
    _check_same_ends(interpreter, graph.inputs, graph.output_names)
    for operation in graph.operations:
        name = operation.output
        tensor, grid = interpreter.readable_tensors.get(name), graph.tensors[name].grid
        if tensor is None and operation.kind == "quantize":
            tensor = interpreter.inputs[operation.inputs[0]]
        if grid is None:
            continue
        if tensor is None:
            refuse(interpreter, f"which has no tensor `{name}`")
        if tensor.shape[1:] != tuple(graph.tensors[name].shape[1:]):
            refuse(interpreter, f"whose tensor `{name}` has the shape {tensor.shape}, not {graph.tensors[name].shape}")
        if np.float32(tensor.scale or 0) != np.float32(grid.scale):
            refuse(interpreter, f"whose tensor `{name}` has the scale {tensor.scale}, not {grid.scale}")


def _outside(interpreter):
    return tuple(interpreter.operators_outside_xnnpack())
