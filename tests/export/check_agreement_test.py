"""Which files are too far from their model."""

import pytest

from tests.types.tflite_report_test import REPORT
from tfmp.export import check_agreement


@pytest.mark.parametrize(
    ("limit", "value", "message"),
    [
        ("LARGEST_DIFFERENCE", 0, "Operator `total` .add. of the file differs.* 99.50% .*largest difference is 1"),
        ("SMALLEST_EQUAL_SHARE", 0.999, "Operator `total` .add. of the file differs.* 99.50% of its codes are equal"),
        ("SMALLEST_TOP1_AGREEMENT", 1.01, "agree on the class of 100.00% of the samples"),
    ],
)
def test_limits(limit, value, message, monkeypatch):
    check_agreement.check_agreement(REPORT)
    monkeypatch.setattr(check_agreement, limit, value)
    with pytest.raises(ValueError, match=message):
        check_agreement.check_agreement(REPORT)
