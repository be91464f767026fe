"""Checks agreement against a tolerance before a file is written."""

from collections.abc import Callable

from tfmp.reports import OutputAgreement, TFLiteReport, Tolerance
from tfmp.tflite.first_difference import PARTED
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
        if (
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
