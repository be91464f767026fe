import numpy as np
import pytest

from tfmp.files.finite_values import (
    NotFiniteError,
    check_class_indices,
    check_finite,
    first_not_finite,
    names_not_finite,
)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_the_first_value_that_is_none_is_found(value, dtype):
    array = np.zeros((4, 3, 2), dtype)
    assert first_not_finite(array) is None
    array[2, 1, 1] = array[3, 0, 0] = value
    assert first_not_finite(array) == (2, 1, 1)
    message = r"`x_test` must be finite. Received: NaN or .* at index \[2, 1, 1\] of shape \(4, 3, 2\). Remove"
    with pytest.raises(NotFiniteError, match=message):
        check_finite("x_test", array)


def test_large_arrays_are_read_in_parts():
    array = np.zeros((5, 1 << 20), np.float64)
    array[4, -1] = np.nan
    assert first_not_finite(array) == (4, (1 << 20) - 1)


@pytest.mark.parametrize("array", [np.arange(3), np.array(["a"]), np.array([None]), np.zeros((0, 2)), np.array([True])])
def test_other_types_pass(array):
    check_finite("x", array)


def test_scalars_and_variables():
    assert first_not_finite(np.float32(np.nan)) == (0,)
    pairs = [("a", np.zeros(2)), ("b", np.array(np.inf)), ("c", np.array([np.nan]))]
    assert list(names_not_finite(pairs)) == ["b", "c"]


@pytest.mark.parametrize(
    "labels",
    [np.array([0, 1, 3]), np.array([0, -1, 2]), np.array([0.5, 1, 2]), np.array([0, 1]), np.eye(3), np.array("abc")],
    ids=["too large", "negative", "fraction", "too few", "one-hot", "text"],
)
def test_labels_are_class_indices(labels):
    for right in (np.arange(3), np.arange(3.0), np.arange(3)[:, None]):
        check_class_indices("y", right, (3,), 3)
    with pytest.raises(
        ValueError, match=r"`y_test` must hold class indices from 0 to 2, in the shape \(3,\). Received"
    ):
        check_class_indices("y_test", labels, (3,), 3)
