import pytest

from tfmp.reports import Tolerance


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
