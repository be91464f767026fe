"""Which files are too far from their models."""

import dataclasses

import pytest

from tests.reports.tflite_report_test import REPORT
from tfmp.reports import ModelAgreement, OutputAgreement, Tolerance
from tfmp.tflite.check_agreement import check_agreement


def check(report, *, parting=lambda: ("clip", 4.2), **tolerance):
    check_agreement(report, Tolerance(**tolerance), parting)


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        ({"operator_difference": 0}, "Operator `total` .add. of the file differs.* 99.50% .*largest difference is 1"),
        ({"operator_equal": 0.999}, "Operator `total` .add. of the file differs.* 99.50% of its codes are equal"),
        ({"folded_db": 61}, "`p` of the file .*of the folded model.*100 samples: 60.0 dB.*Expected at least 61 dB"),
        (
            {"trained_db": 40},
            "of the trained model.*: 38.2 dB.*at least 40 dB. .*first at layer `clip`.*4.2",
        ),
        ({"reference_db": 20}, "in floating point.*: 12.0 dB.*Tolerance.reference_db=..., reference_top1=...."),
        ({"reference_top1": 0.95}, "in floating point.*90.00%. Expected the same class in at least 95%. Train longer"),
    ],
)
def test_limits(tolerance, message):
    check(REPORT)
    with pytest.raises(ValueError, match=message):
        check(REPORT, **tolerance)


@pytest.mark.parametrize(
    ("same", "count", "passes"), [(15, 16, True), (14, 16, False), (98, 100, True), (97, 100, False)]
)
def test_one_tie_among_a_few_samples_is_no_failure(same, count, passes):
    output = OutputAgreement("p", 30.0, 0.1, 0.9, same / count, "largest of 3", count)
    report = dataclasses.replace(REPORT, trained=ModelAgreement((output,), count))
    if passes:
        check(report)
    else:
        with pytest.raises(ValueError, match="the same class in at least 98%.*Tolerance.trained_db"):
            check(report)
        check(report, trained_top1=None)


def test_roundings_that_add_up_are_told_from_a_layer_that_differs():
    with pytest.raises(ValueError, match="is near: the furthest, layer `clip`, is at 50.3 dB. .*Train longer"):
        check(REPORT, trained_db=40, parting=lambda: ("clip", 50.3))


def test_a_file_in_floating_point_has_no_layer_at_which_it_parts():
    report = dataclasses.replace(REPORT, operators=(), folded=None)
    with pytest.raises(ValueError, match="TensorFlow's converter wrote other arithmetic"):
        check(report, trained_db=40, parting=lambda: None)
