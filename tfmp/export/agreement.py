"""How the results of a file compare with those of the model that it was written from."""

import math

import numpy as np

from tfmp.bindings.operation_arguments import operation_layer_name
from tfmp.export.interpreter import Interpreter
from tfmp.types import IntegerGraph, OperatorAgreement

_LARGEST_CHUNK = 2**24  # codes of all tensors together
_SAMPLES = 32  # at a time, in floating point
_EQUAL = 1e-5  # of the largest in a row: how far apart numbers of a file in floating point count as equal
_SAME = 0.05  # of the largest: how far apart single numbers count as the same result


def integer_agreement(graph: IntegerGraph, folded, interpreter: Interpreter, samples) -> dict:
    """Compares a file of integers with the network that it holds, operator by operator and from end to end.

    Every operator of the folded model gets the file's own input codes. Samples run through in parts, so that the codes
    of a deep network need little memory at a time.

    Args:
        graph: The integer network.
        folded: The model that computes it.
        interpreter: The file.
        samples: Arrays of numbers by the names of the graph's inputs.

    Returns:
        The fields of a `TFLiteReport` that say how they agree.

    Raises:
        ValueError: If the file is of another network.
    """
    _check_same_network(graph, interpreter)
    operators = [operation for operation in graph.operations if graph.tensors[operation.output].grid is not None]
    tallies = {operation.output: _Tally() for operation in operators}
    outputs = _OutputTally()
    per_sample = sum(math.prod(tensor.shape[1:]) for tensor in interpreter.quantized_tensors.values())
    for part in _parts(samples, max(1, _LARGEST_CHUNK // per_sample), interpreter.batch_size):
        stored = {name: tensor.stored(part[name]) for name, tensor in interpreter.inputs.items()}
        theirs = {**_with_inputs(graph, interpreter, interpreter.codes(stored), stored), **part}
        ours = _own_results(graph, folded, theirs, tallies)
        found = interpreter.run(stored)
        for name, tensor in zip(graph.output_names, graph.outputs, strict=True):
            values = interpreter.outputs[name].values(found[name])
            outputs.add(ours[tensor], values, ours[tensor] == values)
    agreements = (
        OperatorAgreement(
            each.output, each.layer, each.kind, tallies[each.output].equal_share, tallies[each.output].largest
        )
        for each in operators
    )
    return {"operators": tuple(agreements), **outputs.fields, "outside_xnnpack": _outside(interpreter)}


def float_agreement(model, output_names, interpreter: Interpreter, samples) -> dict:
    """Compares a file in floating point with a model from end to end; see `integer_agreement`.

    Args:
        model: Function of arrays in the order of `samples` that returns arrays in the order of `output_names`.
        output_names: Names of the file's outputs.
        interpreter: The file.
        samples: Arrays by input name.
    """
    _check_same_ends(interpreter, samples, output_names)
    outputs = _OutputTally()
    for part in _parts(samples, _SAMPLES, interpreter.batch_size):
        stored = {name: tensor.stored(part[name]) for name, tensor in interpreter.inputs.items()}
        found = interpreter.run(stored)
        for name, ours in zip(output_names, model(*(stored[name] for name in samples)), strict=True):
            ours = np.asarray(ours)
            outputs.add(ours, found[name], np.abs(found[name] - ours) <= _EQUAL * np.abs(ours).max(-1, keepdims=True))
    return {**outputs.fields, "outside_xnnpack": _outside(interpreter)}


class _Tally:
    """Counts over all parts of the samples."""

    def __init__(self):
        self.count = self.equal = self.largest = 0

    def add(self, difference, equal):
        self.count += difference.size
        self.equal += int(np.count_nonzero(equal))
        self.largest = max(self.largest, difference.max(initial=0).item())

    @property
    def equal_share(self):
        return self.equal / self.count


class _OutputTally(_Tally):
    def __init__(self):
        super().__init__()
        self.samples = self.same = self.reach = 0

    def add(self, ours, theirs, equal):
        difference = np.abs(ours - theirs)
        super().add(difference, equal)
        self.reach = max(self.reach, np.abs(ours).max(initial=0))
        several = ours.shape[-1] > 1
        same = ours.argmax(-1) == theirs.argmax(-1) if several else difference <= _SAME * self.reach
        self.samples += same.size
        self.same += int(np.count_nonzero(same))

    @property
    def fields(self):
        return {
            "equal_share": self.equal_share,
            "largest_difference": float(self.largest),
            "top1_agreement": self.same / self.samples,
        }


def _own_results(graph, folded, theirs, tallies):
    """What the folded model computes from its own codes, and the tally of each operator given the file's.

    An operator runs once where both get the same codes.
    """
    ours = {name: theirs[name] for name in graph.inputs}
    for operation in graph.operations:
        layer = folded.get_layer(operation_layer_name(operation.name))

        def computed(tensors, layer=layer, names=operation.inputs):
            inputs = [np.asarray(tensors[name], np.float32) for name in names]
            return np.asarray(layer(inputs if len(inputs) > 1 else inputs[0]))

        if operation.output not in tallies:
            ours[operation.output] = computed(ours)
            continue
        expected = computed(theirs)
        codes = theirs[operation.output]
        difference = np.abs(expected - codes)
        tallies[operation.output].add(difference.astype(np.int64), difference == 0)
        same_inputs = all(ours[name] is theirs[name] for name in operation.inputs)
        own = expected if same_inputs else computed(ours)
        ours[operation.output] = codes if np.array_equal(own, codes) else own
    return ours


def _with_inputs(graph, interpreter, codes, stored):
    """The codes of all tensors of the graph: those of a file that takes codes are its inputs."""
    for operation in graph.operations:
        if operation.kind == "quantize" and operation.output not in codes:
            name = operation.inputs[0]
            codes[operation.output] = stored[name].astype(np.int32) - interpreter.inputs[name].zero_point
    return codes


def _parts(samples, count, batch_size):
    """Parts of at most `count` samples, but whole batches of the file."""
    count = max(1, count // batch_size) * batch_size
    for start in range(0, len(next(iter(samples.values()))), count):
        yield {name: array[start : start + count] for name, array in samples.items()}


def refuse(interpreter, what):
    """Raises the error of a file that is of another model."""
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
        tensor, grid = interpreter.quantized_tensors.get(name), graph.tensors[name].grid
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
