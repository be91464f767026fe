"""Every form of data is recognized; other objects raise an error that says what to do."""

import functools
import itertools
import math

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.data.forms import Indexed, TorchLike, X, Y, batches_of
from tfmp.data.source import Arrays, IndexedBatches, StreamedBatches, source_of


def test_the_number_of_batches_is_known_where_it_can_be():
    dataset = tf.data.Dataset.from_tensor_slices(X)
    for data, expected in (
        (X, 3),
        (Indexed(), 3),
        (dataset.batch(4), 3),
        (dataset.batch(4).filter(lambda x: True), None),
        (dataset.batch(4).repeat(), math.inf),
        (lambda: batches_of(X), None),
    ):
        assert source_of(data, "`data`").num_batches(4) == expected


def test_arrays_of_every_library_and_plain_numbers():
    for data in (X, tf.constant(X), X.tolist(), tuple(map(tuple, X.tolist()))):
        source = source_of(data, "`data`")
        assert isinstance(source, Arrays) and source.num_samples == len(X)
        np.testing.assert_allclose(np.concatenate(list(source.elements(4))), X, rtol=1e-6)
    (half,) = source_of(tf.cast(X, tf.bfloat16), "`data`").elements(100)
    assert half.dtype == np.float32


def test_arrays_in_files_are_read_batch_by_batch(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        stored = file.create_dataset("x", data=X)
        source = source_of({"x": stored}, "`data`")
        assert source.structure["x"] is stored
        np.testing.assert_array_equal(np.concatenate([batch["x"] for batch in source.elements(4)]), X)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.shares_memory(next(source_of(mapped, "`data`").elements(4)), mapped)


def test_functions_and_data_sets_repeat_from_a_position():
    for data in (
        tf.data.Dataset.from_tensor_slices(X).batch(4),
        lambda: batches_of(X, 4),
        functools.partial(iter, [X]),
    ):
        source = source_of(data, "`data`")
        assert isinstance(source, StreamedBatches)
        np.testing.assert_array_equal(np.concatenate(list(source.elements(1))), X)
        repeated = itertools.islice(source.repeated_from(1), 6)
        expected = itertools.islice(itertools.cycle(source.elements(1)), 1, 7)
        for found, batch in zip(repeated, expected, strict=True):
            np.testing.assert_array_equal(found, batch)
    assert not list(source_of(lambda: [], "`data`").repeated_from(3))


def test_a_data_set_that_tells_its_length_by_a_property_alone():
    class Unlimited:
        num_batches = None

        def __getitem__(self, index):
            return X[:2], Y[:2]

    source = source_of(Unlimited(), "`data`")
    assert isinstance(source, IndexedBatches) and source.num_batches(1) == math.inf


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (None, TypeError, "`data` must be an array.*Received: None"),
        (3, TypeError, "Received: 3"),
        ("x_train.npz", TypeError, "Received: 'x_train.npz'"),
        (batches_of(X), TypeError, "can be read once only. Give the function that makes it, `batches` and not"),
        (iter([X]), TypeError, "can be read once only"),
        (TorchLike(), TypeError, "of PyTorch. Give a function of its batches as arrays: `def batches"),
        ({1.0, 2.0}, TypeError, "Give a function of its batches"),
        (lambda count: batches_of(X, count), TypeError, "needs arguments. `functools.partial`"),
        ([], ValueError, r"Received: \[\], without arrays"),
        (keras.Sequential([]), TypeError, "Received: <Sequential"),
        ([X, X[:3]], ValueError, r"equal length.*\(10, 3\), \(3, 3\).*np.concatenate.*np.stack.*function that yields"),
        (np.float32(3), ValueError, "one entry per sample"),
        ((X, 3.0), ValueError, "one entry per sample"),
        ([[1.0, 2.0], [3.0]], ValueError, "must be arrays"),
    ],
)
def test_what_is_no_data(data, error, message):
    with pytest.raises(error, match=message):
        source_of(data, "`data`")


@pytest.mark.parametrize("returned", [None, X, {"x": X}, 3])
def test_functions_that_return_no_batches(returned):
    with pytest.raises(TypeError, match="`data` is a function that must return an iterator of batches"):
        list(source_of(lambda: returned, "`data`").elements(1))
