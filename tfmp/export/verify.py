"""A file against the folded model it was written from."""

import numpy as np

from tfmp.export.interpreter import Interpreter
from tfmp.transform.samples import batches
from tfmp.types import IntegerGraph, OperatorAgreement

LARGEST_DIFFERENCE = 1
SMALLEST_EQUAL_SHARE = 0.99
SMALLEST_TOP1_AGREEMENT = 0.99


def operator_agreement(graph: IntegerGraph, folded, tensors) -> list[OperatorAgreement]:
    """Compares every operator of a file with the folded model's, both given the file's own input codes.

    Args:
        graph: The integer network.
        folded: The model that computes it.
        tensors: Tensor name to the codes that the file computed, and to the numbers that it was given.

    Returns:
        One entry per operation that writes codes, in their order.
    """
    found = []
    for operation in graph.operations:
        if graph.tensors[operation.output].grid is None:
            continue
        inputs = [np.asarray(tensors[name], np.float32) for name in operation.inputs]
        layer = folded.get_layer(operation.name.replace("/", "_"))
        expected = np.asarray(layer(inputs if len(inputs) > 1 else inputs[0]))
        difference = np.abs(expected - tensors[operation.output])
        found.append(
            OperatorAgreement(
                operation.output,
                operation.layer,
                operation.kind,
                float((difference == 0).mean()),
                int(difference.max(initial=0)),
            )
        )
    return found


def end_to_end(graph: IntegerGraph, folded, content, samples):
    """Returns share of equal outputs, largest difference, and top-1 agreement of a file with the folded model.

    Args:
        graph: The integer network.
        folded: The model that computes it.
        content: Bytes of the file.
        samples: Arrays by the names of the graph's inputs, in their order.
    """
    outputs = Interpreter(content).run(samples)
    expected = folded.predict_on_batch(list(samples.values()) if len(samples) > 1 else samples[graph.inputs[0]])
    if len(graph.outputs) == 1:
        expected = {graph.output_names[0]: expected}
    equal, differences, same = [], [], []
    for name in graph.output_names:
        ours, theirs = np.asarray(expected[name]), outputs[name]
        equal.append((ours == theirs).ravel())
        differences.append(np.abs(ours - theirs).max(initial=0))
        same.append((ours.argmax(-1) == theirs.argmax(-1)).ravel())
    return float(np.concatenate(equal).mean()), float(max(differences)), float(np.concatenate(same).mean())


def verified(graph: IntegerGraph, folded, content, readable, verify):
    """Compares a file with its network and returns the fields of a `TFLiteReport` that say how they agree.

    Args:
        graph: The integer network.
        folded: The model that computes it.
        content: Bytes of the file.
        readable: Bytes of the same file with every tensor readable.
        verify: Inputs: an array, a structure of arrays or a `tf.data.Dataset`, of which the first batch is used.

    Raises:
        ValueError: If an operator differs by more than 1 or is equal in less than 99 % of its codes, or the top-1
            agreement is below 99 %; the message names the first such operator.
    """
    samples = _by_name(graph, next(batches(verify, batch_size=256, name="Verification data")))
    operators = operator_agreement(graph, folded, {**Interpreter(readable).codes(samples), **samples})
    for operator in operators:
        if operator.largest_difference > LARGEST_DIFFERENCE or operator.equal_share < SMALLEST_EQUAL_SHARE:
            raise ValueError(
                f"Operator `{operator.name}` ({operator.kind}) of the file differs from the folded model: "
                f"{operator.equal_share:.2%} of its codes are equal, the largest difference is "
                f"{operator.largest_difference}. Expected at least {SMALLEST_EQUAL_SHARE:.0%} and at most "
                f"{LARGEST_DIFFERENCE}. This runtime rounds otherwise than the one that was tested."
            )
    equal_share, largest_difference, top1_agreement = end_to_end(graph, folded, content, samples)
    if top1_agreement < SMALLEST_TOP1_AGREEMENT:
        raise ValueError(
            f"The file and the folded model agree on the class of {top1_agreement:.2%} of the samples. "
            f"Expected at least {SMALLEST_TOP1_AGREEMENT:.0%}. No single operator differs beyond its tolerance."
        )
    return {
        "operators": tuple(operators),
        "equal_share": equal_share,
        "largest_difference": largest_difference,
        "top1_agreement": top1_agreement,
        "outside_xnnpack": tuple(Interpreter(content).operators_outside_xnnpack()),
    }


def _by_name(graph, samples):
    """A batch in the structure of a model's inputs as arrays by the names of the graph's inputs."""
    if not isinstance(samples, dict):
        arrays = samples if isinstance(samples, list | tuple) else [samples]
        samples = dict(zip(graph.inputs, arrays, strict=False)) if len(arrays) == len(graph.inputs) else {}
    if set(samples) != set(graph.inputs):
        raise ValueError(
            f"Verification data must have one array per input of the model: {', '.join(graph.inputs)}; as a dict, by "
            f"these names. Received: {', '.join(samples) or 'another number of arrays'}"
        )
    return {name: samples[name] for name in graph.inputs}
