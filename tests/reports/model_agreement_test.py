"""Agreement of a file's outputs with a model's, and its tolerances."""

import json
import math

import pytest

from tfmp.reports import ModelAgreement, OutputAgreement, Tolerance

CLASSES = OutputAgreement("kind", 38.24, 0.125, 0.5, 0.992, "largest of 10", 250)
EQUAL = OutputAgreement("map", math.inf, 0.0, 1.0)
FAR = OutputAgreement("score", 3.0, 4.0, 0.0, 0.75, "side of 0.5", 250)


def test_the_worst_output_counts_and_all_are_listed():
    agreement = ModelAgreement((CLASSES, EQUAL, FAR), 250)
    assert (agreement.signal_to_noise_db, agreement.largest_difference) == (3.0, 4.0)
    assert (agreement.equal_share, agreement.top1_agreement) == (0.0, 0.75)
    assert agreement.in_words == (
        "kind: 38.2 dB, at most 0.125 deviations apart, same class (largest of 10) in 99.20%; map: equal; "
        "score: 3.0 dB, at most 4 deviations apart, same class (side of 0.5) in 75.00%"
    )
    assert ModelAgreement((EQUAL,), 3).in_words == "equal" and ModelAgreement((EQUAL,), 3).top1_agreement is None


def test_json_has_no_infinity():
    content = json.loads(json.dumps(ModelAgreement((EQUAL, CLASSES), 250).as_dict(), allow_nan=False))
    assert content["outputs"][0]["signal_to_noise_db"] is None and content["outputs"][0]["largest_difference"] == 0
    assert content["signal_to_noise_db"] == 38.24 and content["num_samples"] == 250
    assert content["outputs"][1]["decision"] == "largest of 10"


def test_defaults():
    tolerance = Tolerance()
    assert (tolerance.operator_equal, tolerance.operator_difference) == (0.99, 1)
    assert [tolerance.of(model) for model in ("folded", "trained", "reference")] == [
        (15.0, 0.99),
        (15.0, 0.98),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"operator_equal": None}, "`operator_equal` must be a finite number at least 0 and at most 1. Received: None"),
        ({"operator_difference": 0.5}, "`operator_difference` must be an integer"),
        ({"trained_top1": 98}, "`trained_top1` must be a finite number at least 0 and at most 1. Received: 98"),
        ({"reference_db": float("inf")}, "`reference_db` must be a finite number. Received: inf"),
        ({"folded_db": "15"}, "`folded_db` must be a finite number"),
    ],
)
def test_what_is_no_tolerance(arguments, message):
    with pytest.raises(ValueError, match=message):
        Tolerance(**arguments)
