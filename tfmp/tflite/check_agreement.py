"""Checks agreement against a tolerance before a file is written, and names the first layer that differs."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.data.whole_batches import by_whole_batches
from tfmp.graph import Graph, IntegerGraph, map_references
from tfmp.operators import float_layer
from tfmp.reports import OutputAgreement, TFLiteReport, Tolerance
from tfmp.tflite.agreement import run_operation
from tfmp.tflite.output_tally import signal_to_noise_db
from tfmp.transform.output_kind import VALUE

_MODELS = {
    "folded": "the folded model, which has the file's own arithmetic",
    "trained": "the trained model, as Keras computes it",
    "reference": "the model in floating point",
}


def check_agreement(
    report: TFLiteReport, tolerance: Tolerance, parting: Callable[[], tuple[str, float] | None]
) -> None:
    """Raises `ValueError` if the agreement of a file with one of its models is below a tolerance.

    Args:
        report: The report of the file.
        tolerance: The tolerance.
        parting: Function that returns the first layer at which the folded model differs from the trained one, with the
            decibels there; or None.
    """
    for operator in report.operators:
        if operator.kind == float_layer.KIND:
            if operator.largest_difference > tolerance.float_difference:
                raise ValueError(
                    f"Layer `{operator.layer}` of the file, in floating point, differs from Keras by "
                    f"{operator.largest_difference:.2g} of its largest number, given the same inputs. Expected at most "
                    f"{tolerance.float_difference:g}. If samples of its batch depend on each other, export with the "
                    "batch size of your data; otherwise set `tolerance=tfmp.Tolerance(float_difference=...)`."
                )
        elif (
            operator.largest_difference > tolerance.operator_difference
            or operator.equal_share < tolerance.operator_equal
        ):
            raise ValueError(
                f"Operator `{operator.name}` ({operator.kind}) of the file differs from the folded model: "
                f"{operator.equal_share:.2%} of its codes are equal, the largest difference is "
                f"{operator.largest_difference}. Expected at least {tolerance.operator_equal:.0%} and at most "
                f"{tolerance.operator_difference}. This runtime rounds differently from the tested one."
            )
    for model, words in _MODELS.items():
        agreement = getattr(report, model)
        for output in () if agreement is None else agreement.outputs:
            expected = _violated(output, *tolerance.of(model))
            if expected:
                raise ValueError(
                    f"Output `{output.name}` of the file is too far from that of {words}, on {agreement.num_samples} "
                    f"samples: {output.in_words}. Expected {expected}. {_way_out(model, parting)}"
                )


def _violated(output: OutputAgreement, decibels, share):
    """Returns the violated limits of an output in words; empty if there are none."""
    if decibels is not None and output.decision != VALUE and output.signal_to_noise_db < decibels:
        return f"at least {decibels:g} dB"
    # Among few samples, one tie that the last bit decides is a large share.
    differing = 0 if share is None or output.top1_agreement is None else 1 - output.top1_agreement
    if differing and differing > 1 - share and round(differing * output.num_decisions) > 1:
        return f"the same class in at least {share:.0%}"
    return ""


def _way_out(model, parting):
    if model == "folded":
        return "No single operator differs beyond its tolerance. Judge the file by `tfmp.evaluate_tflite`."
    setting = f"set `tolerance=tfmp.Tolerance({model}_db=..., {model}_top1=...)`"
    if model == "reference":
        return f"Train longer, give layers more bits, or {setting}."
    parted = parting()
    if not parted:
        return f"TensorFlow's converter wrote other arithmetic. Compare parts of the model, or {setting}."
    layer, decibels = parted
    if decibels >= PARTED:
        return (
            "Given the trained model's own inputs, the integer form of every layer is near: the furthest, layer "
            f"`{layer}`, is at {decibels:.1f} dB. Roundings add up, above all in a model that is hardly trained. Train "
            f"longer, give layers more bits, or {setting}."
        )
    return (
        f"The two part first at layer `{layer}`: given the trained model's own inputs, its integer form is at "
        f"{decibels:.1f} dB. If that layer is registered, see that it computes what `tfmp.register_layer` says; if few "
        f"bits explain it, {setting}."
    )


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
        tensors.update(run_operation(folded, operation, tensors))
        if operation in stored:
            grid = tensor.require_grid()
            codes = np.clip(np.rint(trained[tensor.source] / grid.scale), grid.low, grid.high)
            layer = graph.producer(tensor.source).layer
            ratios.setdefault(layer, signal_to_noise_db(codes, tensors[operation.output]))
            tensors[operation.output] = codes
    parted = (name for name, ratio in ratios.items() if ratio < PARTED)
    layer = next(parted, min(ratios, key=ratios.__getitem__))
    return layer, ratios[layer]
